"""Building blocks that several families share; plain torch."""
