"""Contrastive learning: encoders of images and captions that meet in one space (CLIP)."""
