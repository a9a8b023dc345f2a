"""Released versions: the frozen schemas that the next one is compared with, and recordings that must be read for ever.

``released/MAJOR.MINOR`` holds ``schema.json`` (the tables, words included), ``vectors.json``, ``host.bin`` and
``stream.bin`` (what a host and a tool of that version sent, framed) and ``stream.json``: what they must decode to.
That is worked out from the schema with `wire`, not by the codec.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from generator import vectors
from generator.errors import SchemaError
from generator.wire import decode_payload, read_frames

Schema = dict[str, Any]
FORMAT = (
    "What stream.bin (the tool's frames) and host.bin (the host's) decode to. frames: how many, all good. messages: in",
    "order, [name, status, {place: value}], the values as in vectors.json; no values where none travel; the status is",
    "null but for responses. record: the calibration record that the CALIBRATION_READ responses give. streams: DATA by",
    "stream and session, with the sums of all counts (a channel each), of first_index and of t0_us over its messages.",
)


def load_released(folder: Path) -> list[dict[str, Any]]:
    """The tables of every released version, oldest first. Raises `SchemaError`."""
    found = []
    for path in folder.glob("*/schema.json"):
        try:
            tables = json.loads(path.read_text(encoding="utf-8"))
            key = (tables["protocol"]["major"], tables["protocol"]["minor"])
        except (ValueError, KeyError, TypeError) as error:
            raise SchemaError(f"{path.parent.name}/{path.name}: not a released schema: {error!r}") from None
        if path.parent.name != f"{key[0]}.{key[1]}":
            raise SchemaError(f"{path.parent.name}/{path.name}: says that it is version {key[0]}.{key[1]}")
        found.append((key, tables))
    return [tables for _, tables in sorted(found, key=lambda row: row[0])]


class _Reader:
    """Messages of a recording to rows, by the schema alone."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._enums = {e["name"]: {v["value"]: v["name"] for v in e["values"]} for e in schema["enums"]}
        self._tables = {(m["direction"], m.get("opcode") or m.get("type") or m["name"]): m for m in schema["messages"]}
        self._sessions = 0
        self.messages: list[list[Any]] = []
        self.streams: dict[str, dict[str, Any]] = {}
        self._layouts: dict[int, tuple[int, int]] = {}

    def take(self, message: bytes) -> None:
        """One message, whatever it is."""
        kind = self._enums["MessageType"][message[0]]
        if kind == "DATA":
            self._data(message)
        elif kind in ("REQUEST", "RESPONSE"):
            self._control(kind.lower(), message)
        else:
            self._row(self._tables["stream", kind], None, message[4:])

    def _control(self, direction: str, message: bytes) -> None:
        opcode = self._enums["Opcode"].get(message[6], f"0x{message[6]:02x}")
        status = self._enums["Status"][message[7]] if direction == "response" else None
        table = self._tables.get((direction, opcode))
        if table is None or len(message) == 8:
            self.messages.append([f"{opcode} {direction}", status, {}])
            return
        if status == "OK" and opcode == "START":
            self._sessions += 1
        self._row(table, status, message[8:])

    def _row(self, table: dict[str, Any], status: str | None, payload: bytes) -> None:
        values = dict(decode_payload(self._schema, table, payload))
        self.messages.append([table["name"], status, values])
        if table["name"] in ("StreamDescriptor", "ConfigureResponse"):
            channels = sum(value for place, value in values.items() if place.endswith(".channels"))
            size = int(self._enums["SampleType"][values["sample_type"]][1:]) // 8
            self._layouts[values["stream"]] = (channels, size)

    def _data(self, message: bytes) -> None:
        stream, count = message[4], message[5]
        channels, size = self._layouts[stream]
        octets = message[18:]
        numbers = [int.from_bytes(octets[n : n + size], "little", signed=True) for n in range(0, len(octets), size)]
        assert len(numbers) == count * channels
        key = f"stream {stream} session {self._sessions}"
        mine = self.streams.setdefault(key, {
            "messages": 0, "samples": 0, "sums": [0] * channels, "first_index": 0, "t0_us": 0,
        })  # fmt: skip
        mine["messages"] += 1
        mine["samples"] += count
        mine["sums"] = [was + sum(numbers[n::channels]) for n, was in enumerate(mine["sums"])]
        mine["first_index"] += int.from_bytes(message[6:10], "little")
        mine["t0_us"] += int.from_bytes(message[10:18], "little")


def what_is_in(schema: Schema, host: bytes, stream: bytes, record: bytes) -> dict[str, Any]:
    """What a recording must decode to."""
    limit = next(c["value"] for c in schema["constants"] if c["name"] == "MAX_MESSAGE")
    asked, answered = _Reader(schema), _Reader(schema)
    frames = {}
    for name, octets, reader in (("host.bin", host, asked), ("stream.bin", stream, answered)):
        messages, counts = read_frames(octets, limit)
        assert set(counts) == {"good", "bad_cobs", "bad_crc", "bad_length"} and counts["good"] == sum(counts.values())
        frames[name] = counts["good"]
        for message in messages:
            reader.take(message)
    table = next(m for m in schema["messages"] if m["name"] == "CalibrationRecord")
    return {
        "format": list(FORMAT), "frames": frames, "host": asked.messages, "stream": answered.messages,
        "record": {"hex": record.hex(), "values": dict(decode_payload(schema, table, record))},
        "streams": answered.streams,
    }  # fmt: skip


def freeze(schema: Schema, tables: dict[str, Any], folder: Path) -> Path:
    """Write ``folder/MAJOR.MINOR``. Raises `SchemaError` where it is there already."""
    from generator.play import play

    target = folder / f"{schema['protocol']['major']}.{schema['protocol']['minor']}"
    if target.exists():
        raise SchemaError(f"{target.name} is released already: give the schema a new version")
    host, stream, record = play(schema)
    target.mkdir(parents=True)
    (target / "schema.json").write_text(vectors.text_of(tables) + "\n", encoding="utf-8")
    (target / "vectors.json").write_text(vectors.render(schema), encoding="utf-8")
    (target / "host.bin").write_bytes(host)
    (target / "stream.bin").write_bytes(stream)
    text = vectors.text_of(what_is_in(schema, host, stream, record))
    (target / "stream.json").write_text(text + "\n", encoding="utf-8")
    return target
