"""What a tool must do, as checks a firmware team can run: `suite.run_conformance`. Knows the wire and the carriers only."""
