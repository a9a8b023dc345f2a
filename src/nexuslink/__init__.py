"""nexuslink: the companion of an instrumented Core Nexus release tool."""

__version__ = "0.1.0"
