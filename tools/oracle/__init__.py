"""Toy models computed by Hugging Face `transformers`: what `tests/golden` compares with. Development only."""
