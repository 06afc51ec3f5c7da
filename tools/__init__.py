"""What looks at the repository itself: its rooms, and what they import."""
