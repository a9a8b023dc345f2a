"""What a connected tool can be asked to do, one method an opcode. `Nexus` is this, and the link behind it.

A table says which capability an opcode needs: what a tool has no part for is refused here, by name, before a byte is
sent. Values are checked against the schema's ranges in the same way.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from typing import Final, Protocol, TypeVar

from nexuslink.device.errors import BadAnswerError, BadValueError
from nexuslink.device.records import write_record
from nexuslink.protocol.description import ToolDescription
from nexuslink.protocol.exchange import TIMEOUT_NS
from nexuslink.protocol.messages import (
    Capability,
    ConfigureRequest,
    ConfigureResponse,
    ErrorReport,
    ErrorsRequest,
    ErrorsResponse,
    HapticPattern,
    HapticRequest,
    LightPattern,
    LightRequest,
    LogLevel,
    LogLevelRequest,
    Opcode,
    SelfTest,
    SelfTestRequest,
    SelfTestResponse,
    StreamDescriptor,
    TareRequest,
    TareResponse,
    TotalsResponse,
    UnlockRequest,
    UnlockResponse,
)

SELF_TEST_NS: Final = 5_000_000_000
"""How long a tool may test itself."""
NEEDS: Final[dict[Opcode, tuple[Capability, str]]] = {
    Opcode.TARE: (Capability.TARE, "cannot take a tare by itself"),
    Opcode.CONFIGURE: (Capability.CONFIGURE, "has streams that cannot be configured"),
    Opcode.UNLOCK: (Capability.CALIBRATION_WRITE, "has a calibration that cannot be written"),
    Opcode.CALIBRATION_WRITE: (Capability.CALIBRATION_WRITE, "has a calibration that cannot be written"),
    Opcode.CALIBRATION_COMMIT: (Capability.CALIBRATION_WRITE, "has a calibration that cannot be written"),
    Opcode.HAPTIC: (Capability.HAPTIC, "has no motor to be felt"),
    Opcode.LIGHT: (Capability.LIGHT, "has no light"),
    Opcode.SELF_TEST: (Capability.SELF_TEST, "cannot test itself"),
    Opcode.ERRORS: (Capability.ERRORS, "keeps no error reports"),
    Opcode.LOG_LEVEL: (Capability.LOG, "sends no log"),
    Opcode.RESET: (Capability.RESET, "cannot be restarted from here"),
}
"""Opcode -> what the tool must be able to do, and what is said of one that is not."""


class _Payload(Protocol):
    def problem(self) -> str | None: ...

    def pack(self) -> bytes: ...


class _Answer(Protocol):
    @classmethod
    def unpack(cls: type[A], payload: bytes) -> A | None: ...


A = TypeVar("A", bound="_Answer")


class Commands(ABC):
    """The requests of a tool that is known."""

    url: str

    @property
    @abstractmethod
    def info(self) -> ToolDescription:
        """What the tool says about itself."""

    @abstractmethod
    async def request(self, opcode: Opcode, payload: bytes = b"", timeout_ns: int = TIMEOUT_NS) -> bytes:
        """Ask, wait, return the answer's payload."""

    @abstractmethod
    async def refresh(self) -> None:
        """Ask the tool again what it is: something has changed that."""

    async def tare(self, window_ms: int = 250) -> TareResponse:
        """Mean raw force counts of the last ``window_ms`` (10 to 2000). The tool must be unloaded."""
        return await self._ask(Opcode.TARE, TareRequest(window_ms), TareResponse)

    async def totals(self) -> TotalsResponse:
        """What the present or the latest session has made and sent, by the tool's own count."""
        return self._read(Opcode.TOTALS, await self.request(Opcode.TOTALS), TotalsResponse)

    async def configure(
        self,
        stream: int,
        rate_hz: float = 0.0,
        full_scale: tuple[float, float] = (0.0, 0.0),
        channel_mask: int = 0,
    ) -> StreamDescriptor:
        """Rate, ranges per channel group and channels of one stream from the next START on; 0 leaves a value.

        Returns what the tool really does, which is then also in `info`. Not while streaming.
        """
        wanted = ConfigureRequest(stream, rate_hz, full_scale, channel_mask)
        await self._ask(Opcode.CONFIGURE, wanted, ConfigureResponse)
        await self.refresh()
        return self.info.streams[stream]

    async def haptic(self, pattern: HapticPattern, strength_percent: int = 60, duration_ms: int = 200) -> None:
        """Let the tool be felt for ``duration_ms`` (at most 5000)."""
        await self._tell(Opcode.HAPTIC, HapticRequest(pattern, strength_percent, duration_ms))

    async def light(self, pattern: LightPattern, rgb: tuple[int, int, int], duration_ms: int = 0) -> None:
        """Let the tool be seen, each of red, green and blue from 0 to 255; 0 ms: until the next light."""
        await self._tell(Opcode.LIGHT, LightRequest(pattern, *rgb, duration_ms))

    async def self_test(self, tests: SelfTest | None = None) -> SelfTestResponse:
        """Run these tests (all that the tool has). Which were run, and which of them passed. Not while streaming."""
        wanted = SelfTestRequest(0xFFFFFFFF if tests is None else tests)
        return await self._ask(Opcode.SELF_TEST, wanted, SelfTestResponse, SELF_TEST_NS)

    async def errors(self, clear: bool = False) -> tuple[ErrorReport, ...]:
        """The error reports that the tool keeps, oldest first; ``clear`` makes it forget those."""
        reports: list[ErrorReport] = []
        total = None
        while total is None or len(reports) < total:
            page = await self._ask(Opcode.ERRORS, ErrorsRequest(len(reports), 0), ErrorsResponse)
            if page.first != len(reports):
                raise BadAnswerError(f"{self.url}: the answer to ERRORS is not what was asked for")
            reports += page.reports
            total = page.total if page.reports else 0
        if clear and reports:
            late = await self._ask(Opcode.ERRORS, ErrorsRequest(len(reports), 1), ErrorsResponse)
            reports += late.reports  # came while we read
        return tuple(reports)

    async def set_log_level(self, level: LogLevel) -> None:
        """From which level on LOG messages come while streaming; they reach `add_notice`."""
        await self._tell(Opcode.LOG_LEVEL, LogLevelRequest(level))

    async def unlock(self, code: int) -> int:
        """Allow calibration writes with the code from inside the tool's base. Seconds until it locks again."""
        return (await self._ask(Opcode.UNLOCK, UnlockRequest(code), UnlockResponse)).open_s

    async def write_calibration(self, record: bytes) -> None:
        """Make this whole record (`seal_record`) the tool's own; `unlock` first. It is read back and compared."""
        await write_record(self.url, self.request, record, self.info.max_message)
        await self.refresh()

    async def _tell(self, opcode: Opcode, asked: _Payload, timeout_ns: int = TIMEOUT_NS) -> bytes:
        problem = asked.problem()
        if problem is None:
            try:
                return await self.request(opcode, asked.pack(), timeout_ns)
            except (struct.error, OverflowError):
                problem = "a value does not fit its field"
        raise BadValueError(f"{self.url}: {opcode.name} was not sent: {problem}")

    async def _ask(self, opcode: Opcode, asked: _Payload, answer: type[A], timeout_ns: int = TIMEOUT_NS) -> A:
        return self._read(opcode, await self._tell(opcode, asked, timeout_ns), answer)

    def _read(self, opcode: Opcode, payload: bytes, answer: type[A]) -> A:
        read = answer.unpack(payload)
        if read is None:
            raise BadAnswerError(f"{self.url}: the answer to {opcode.name} is too short")
        return read
