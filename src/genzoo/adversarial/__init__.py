"""Losses, penalties and augmentation of generative adversarial networks."""
