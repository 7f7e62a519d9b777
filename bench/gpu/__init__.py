"""`make bench-gpu`: this worker on an NVIDIA GPU beside llama.cpp. Nothing here passes or fails on a time."""
