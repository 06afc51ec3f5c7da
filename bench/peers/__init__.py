"""Our GAN and flow against others, for the same minutes on the same images: `make bench-peers`."""
