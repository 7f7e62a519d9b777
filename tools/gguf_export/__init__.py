"""Write GGUF files: quantize tensors and lay them out with their metadata. Development only."""
