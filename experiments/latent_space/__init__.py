"""Claim 2: a plain autoencoder's latent space has holes, a VAE's has none."""
