"""What the tool's own processor does, by nouns: the processor itself, its requests, its stream, its calibration."""
