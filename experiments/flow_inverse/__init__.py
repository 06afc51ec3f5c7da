"""Claim 3: a flow's decoder is the inverse of its encoder and needs no training of its own."""
