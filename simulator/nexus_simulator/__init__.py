"""The simulated Core Nexus: body, sensors, firmware, faults, in process or served. Knows `nexuslink.protocol` only."""
