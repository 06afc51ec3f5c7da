"""The parts that studies share: running a sweep, stamps, tables, verdicts."""
