"""Contrastive learning: encoders of images and captions into a joint space (CLIP)."""
