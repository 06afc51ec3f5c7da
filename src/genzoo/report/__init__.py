"""From run folders to a comparison: a table that ranks only what may be ranked, and a page."""
