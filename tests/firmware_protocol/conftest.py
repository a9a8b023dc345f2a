"""The generator is a program, not a part of the distribution: its folder goes on the path here."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "firmware_protocol"))
