"""Claim 1: a GAN learns when its two networks are about equally strong."""
