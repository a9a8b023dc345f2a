"""Every request of the protocol to a simulated tool, and what it sends: the recording that a release keeps.

The one place of the generator that starts a tool; nothing else may import it. Requests are packed from the schema,
time is the script's own, the seed is fixed: the same schema and the same simulator give the same bytes.
"""

from __future__ import annotations

import zlib
from typing import Any

from generator.wire import encode, framed, leaves, request

Schema = dict[str, Any]
SEED = 20
STEP_NS = 5_000_000
UNLOCK_CODE = 0x4E583031
RESET_MAGIC = 0x54455352
STREAMING_STEPS = 300
"""1.5 s: one STATUS message is in it."""
LONG = "a line of the log that is as long as a line may be, " * 3


class _Script:
    """One host that never loses anything, and the tool at its other end."""

    def __init__(self, schema: Schema) -> None:
        from nexus_simulator.options import Options
        from nexus_simulator.tool import Tool

        self._schema = schema
        self._tables = {m["name"]: m for m in schema["messages"]}
        opcodes = next(e for e in schema["enums"] if e["name"] == "Opcode")["values"]
        self._opcodes = {v["name"]: v["value"] for v in opcodes}
        self.tool = Tool(Options(seed=SEED))
        self.host = bytearray()
        self.sent = bytearray()
        self._now_ns = 0
        self._asked = 0
        self._answer: bytes | None = None

    def run(self, steps: int) -> None:
        """Let time pass."""
        for _ in range(steps):
            self._now_ns += STEP_NS
            for departure in self.tool.advance(self._now_ns):
                self.sent += framed(departure.message)
                if departure.message[0] == 2:
                    self._answer = departure.message

    def ask(self, opcode: str | int, **values: Any) -> bytes:
        """One request, and the payload of its answer. ``values``: of fields; what is not named is zero."""
        self._asked += 1
        payload = b""
        if isinstance(opcode, str) and (table := self._table(opcode)) is not None:
            elements = len(values.get("data", "")) // 2
            for leaf in leaves(self._schema, table, elements):
                zero: Any = "" if leaf.scalar in ("char", "bytes") else ([0] * leaf.length if leaf.array else 0)
                payload += encode(leaf, elements if leaf.counts else values.get(leaf.path, zero))
        code = self._opcodes[opcode] if isinstance(opcode, str) else opcode
        message = request(self._asked, self._asked, code, payload)
        self.host += framed(message)
        self._answer = None
        self.tool.receive(self._now_ns, message)
        self.run(4)
        if self._answer is None:
            raise RuntimeError(f"the simulated tool does not answer {opcode}")
        return self._answer[8:]

    def _table(self, opcode: str) -> dict[str, Any] | None:
        rows = (m for m in self._tables.values() if m["direction"] == "request" and m["opcode"] == opcode)
        return next(rows, None)


def _greet(script: _Script, major: int) -> None:
    script.ask("HELLO", protocol_major=major)
    script.ask("INFO")
    for stream in range(2):
        script.ask("DESCRIBE", stream=stream)


def _record(script: _Script) -> bytes:
    """The whole calibration record, read piece by piece."""
    record, size = b"", 1
    while len(record) < size:
        piece = script.ask("CALIBRATION_READ", offset=len(record))
        size, record = int.from_bytes(piece[:2], "little"), record + piece[5:]
    return record


def _write(script: _Script, record: bytes) -> None:
    script.ask("UNLOCK", code=UNLOCK_CODE)
    for at in range(0, len(record), 200):
        script.ask("CALIBRATION_WRITE", offset=at, data=record[at : at + 200].hex())
    script.ask("CALIBRATION_COMMIT", size=len(record), crc32=zlib.crc32(record))


def play(schema: Schema) -> tuple[bytes, bytes, bytes]:
    """What the host sent, what the tool sent (both framed), and the calibration record."""
    from nexuslink.protocol.messages import ErrorCode, EventKind, LogLevel

    script = _Script(schema)
    _greet(script, schema["protocol"]["major"])
    record = _record(script)
    for n in range(3):
        script.ask("TIME_SYNC", host_send_ns=1_000_000_000 + n)
    script.ask("TARE", window_ms=100)  # refused: nothing streams
    script.ask("CONFIGURE", stream=1, rate_hz=1000.0)
    script.ask("LOG_LEVEL", level=LogLevel.DEBUG)
    script.ask("START", stream_mask=3)
    firmware = script.tool.firmware
    script.run(STREAMING_STEPS // 2)
    firmware.event(EventKind.BUTTON, 350)
    firmware.report(ErrorCode.SAMPLE_LATE, 812)
    firmware.log(LogLevel.WARNING, LONG)
    script.ask("TARE", window_ms=250)
    script.ask("HAPTIC", pattern=2, strength_percent=60, duration_ms=200)
    script.ask("LIGHT", pattern=3, red=255, green=64)
    script.ask("TOTALS")
    script.run(STREAMING_STEPS // 2)
    script.ask("STOP", reason=1)
    script.ask("SELF_TEST", tests=0xFFFFFFFF)
    script.ask("ERRORS", clear=1)
    _write(script, record)
    script.ask(0x7E)  # no version knows it
    script.ask(0xFE)  # a vendor's
    script.ask("RESET", magic=RESET_MAGIC)
    script.run(20)
    script.ask("HELLO", protocol_major=schema["protocol"]["major"] + 1)  # refused by name
    _greet(script, schema["protocol"]["major"])
    script.ask("START", stream_mask=1)
    script.run(20)
    script.ask("STOP")
    return bytes(script.host), bytes(script.sent), record
