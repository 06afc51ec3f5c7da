"""Configurations: their files, keys, values, and the objects that they name."""
