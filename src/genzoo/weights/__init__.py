"""Where weights come from, and how a file of them is told by its content."""
