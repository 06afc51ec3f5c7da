"""Invertible maps with tractable log-determinants, and what turns 8-bit images into densities."""
