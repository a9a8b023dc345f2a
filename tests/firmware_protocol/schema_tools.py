"""The generator's own modules, importable by the tests."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "firmware_protocol"))

from generator.errors import SchemaError  # noqa: E402
from generator.render import OUTPUTS, SCHEMA  # noqa: E402
from generator.schema import load_schema  # noqa: E402

__all__ = ["ROOT", "SCHEMA", "SchemaError", "load_schema", "output_names"]


def output_names() -> list[str]:
    """Every generated file, relative to the checkout."""
    return [path.relative_to(ROOT).as_posix() for path in OUTPUTS]
