"""Model files of true shape and quantization mix with random weights, for what only size shows."""
