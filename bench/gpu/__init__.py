"""Checks and speed on a GPU: `make gpu-check`."""
