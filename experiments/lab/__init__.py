"""What the studies share: running a sweep, stamps, tables, verdicts."""
