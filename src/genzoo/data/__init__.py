"""Captioned images: sources, their cache, their splits, and the one datamodule."""
