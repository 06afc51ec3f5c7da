"""Speed, always against something else run side by side on the same machine: `make bench`."""
