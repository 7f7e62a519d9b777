"""A strict reader of GGUF files: every length, count and offset is checked before it is used."""
