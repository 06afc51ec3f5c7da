"""Diffusion processes, predictions, guidance and samplers, and their networks."""
