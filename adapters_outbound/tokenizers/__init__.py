"""Tokenizers of model files, on the `tokenizers` library."""
