"""What a session says about itself before its first chunk.

Stored as JSON in a CRC-protected attachment, so that people and other programs can read it. This file never looks
inside ``info``, ``calibration`` or ``plan_toml``: they are carried as they came.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, fields
from typing import Any

SCHEMA_MAJOR = 1
"""Another major version is refused by name: its files mean something else."""
SCHEMA_MINOR = 0
"""A newer minor version only adds keys and channels; they are ignored."""


class HeaderError(ValueError):
    """The header cannot be understood; the text says why, without the path."""


@dataclass(frozen=True, slots=True)
class SessionHeader:
    """Everything a replay needs besides the chunks."""

    nexuslink_version: str
    url: str
    """Where the tool was found, as the user gave it."""
    simulated: bool
    framed: bool
    """Whether the chunks are a byte stream (COBS frames) or whole messages."""
    serial_number: str
    boot_id: int
    info: bytes
    """What the tool said about itself: the payloads of HELLO, INFO and DESCRIBE, as they came."""
    calibration: bytes
    """The calibration record, as it came from the tool."""
    plan_toml: str | None
    """The text of the plan; None for a recording without a guided hold."""
    started_utc: str
    """ISO 8601, for people only: nothing is computed from it."""


_TYPES: dict[str, tuple[type, ...]] = {
    "nexuslink_version": (str,),
    "url": (str,),
    "simulated": (bool,),
    "framed": (bool,),
    "serial_number": (str,),
    "boot_id": (int,),
    "info": (bytes,),
    "calibration": (bytes,),
    "plan_toml": (str, type(None)),
    "started_utc": (str,),
}


def pack_header(header: SessionHeader) -> bytes:
    """The header as JSON text; bytes become base64."""
    values: dict[str, object] = {"schema": f"{SCHEMA_MAJOR}.{SCHEMA_MINOR}"}
    for field in fields(header):
        value = getattr(header, field.name)
        values[field.name] = base64.b64encode(value).decode() if isinstance(value, bytes) else value
    return json.dumps(values, indent=1).encode()


def unpack_header(text: bytes) -> SessionHeader:
    """The inverse of :func:`pack_header`; raises :class:`HeaderError` on anything else."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise HeaderError("its header is not JSON") from None
    if not isinstance(values, dict):
        raise HeaderError("its header is not a table")
    schema = values.get("schema")
    major = schema.partition(".")[0] if isinstance(schema, str) else ""
    if major != str(SCHEMA_MAJOR):
        raise HeaderError(f"it has session schema {str(schema)[:20]!r}, this program reads {SCHEMA_MAJOR}.x")
    return SessionHeader(**{name: _value(name, values) for name in _TYPES})


def _value(name: str, values: dict[str, Any]) -> Any:
    if name not in values:
        raise HeaderError(f"its header lacks {name!r}")
    value, wanted = values[name], _TYPES[name]
    if wanted == (bytes,) and isinstance(value, str):
        try:
            value = base64.b64decode(value, validate=True)
        except (ValueError, binascii.Error):
            raise HeaderError(f"{name!r} in its header is not base64") from None
    if type(value) not in wanted:
        raise HeaderError(f"{name!r} in its header is of the wrong type")
    return value
