"""Studies: each tests one claim about generators, by one command, and says how it came out."""
