"""What a tool must do, as checks for a firmware team: `suite.run_conformance`. Knows the wire and its carriers."""
