"""The families of generators, one a file, behind one contract."""
