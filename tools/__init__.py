"""Tools for the repository itself: its rooms, and their imports."""
