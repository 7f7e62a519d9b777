"""The stand-in: real models on the CPU, in a pretended device memory."""
