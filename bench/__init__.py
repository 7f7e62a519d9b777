"""Measurements: `make bench` prints one table. Nothing here passes or fails."""

import os

# As the worker sets it for itself (app/main.py), so that the backend alone and the worker compute alike.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
