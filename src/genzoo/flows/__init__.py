"""Invertible maps with tractable log-determinants, and dequantisation of 8-bit images."""
