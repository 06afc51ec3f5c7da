"""Where weights come from, and how the format of a file is detected by its content."""
