"""Schema in, code, reference and golden bytes out. Knows nothing of nexuslink at run time."""
