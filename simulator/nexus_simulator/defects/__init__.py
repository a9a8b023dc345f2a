"""Tools that are wrong on purpose, each in one way: what the conformance suite is tried on. `table` has their names."""
