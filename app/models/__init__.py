"""The model on board: a small one that writes haiku. How it is made: docs/haiku.md."""
