"""What a tool says about itself, put together: HELLO, INFO and the streams. Named by recordings and kept in caches.

Everything is carried as the tool sent it, so that what a newer minor version added is not lost on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from nexuslink.protocol.messages import Capability, HelloResponse, InfoResponse, StreamDescriptor


def description_crc(info: bytes, streams: Sequence[bytes], record: bytes) -> int:
    """HELLO's `description_crc`: over the payloads of INFO and of DESCRIBE in stream order, then the record."""
    check = crc32(info)
    for stream in streams:
        check = crc32(stream, check)
    return crc32(record, check)


@dataclass(frozen=True, slots=True)
class ToolDescription:
    """One tool, as of one connection. Made by `of`."""

    hello: HelloResponse
    info: InfoResponse
    streams: tuple[StreamDescriptor, ...]
    payloads: tuple[bytes, ...]
    """HELLO's, INFO's and every stream's payload, as they came."""

    @classmethod
    def of(cls, hello: bytes, info: bytes, streams: Sequence[bytes]) -> ToolDescription | None:
        """From payloads; ``None`` where one of them cannot be read or the number of streams is not what INFO says."""
        first, second = HelloResponse.unpack(hello), InfoResponse.unpack(info)
        described = [StreamDescriptor.unpack(payload) for payload in streams]
        whole = tuple(stream for stream in described if stream is not None)
        if first is None or second is None or len(whole) != len(described) or len(whole) != second.stream_count:
            return None
        return cls(first, second, whole, (hello, info, *streams))

    @property
    def serial_number(self) -> str:
        """The tool's identity."""
        return self.hello.serial_number

    @property
    def boot_id(self) -> int:
        """New at every start of the tool."""
        return self.hello.boot_id

    @property
    def firmware_version(self) -> str:
        """With dots."""
        return ".".join(map(str, self.info.firmware_version))

    @property
    def protocol_version(self) -> str:
        """Major and minor, as the tool speaks it."""
        return f"{self.hello.protocol_major}.{self.hello.protocol_minor}"

    @property
    def max_message(self) -> int:
        """Longest message that the tool sends on this link, bytes."""
        return self.hello.max_message

    @property
    def capabilities(self) -> Capability:
        """What it can do."""
        return Capability(self.info.capabilities)

    @property
    def simulated(self) -> bool:
        """No hardware behind it."""
        return bool(self.info.capabilities & Capability.SIMULATED)

    def pack(self) -> bytes:
        """All payloads, each after its length in one byte."""
        return b"".join(bytes([len(payload)]) + payload for payload in self.payloads)

    @classmethod
    def unpack(cls, data: bytes) -> ToolDescription | None:
        """The opposite of `pack`; ``None`` where the bytes cannot be that."""
        payloads: list[bytes] = []
        at = 0
        while at < len(data):
            end = at + 1 + data[at]
            if end > len(data):
                return None
            payloads.append(data[at + 1 : end])
            at = end
        return cls.of(payloads[0], payloads[1], payloads[2:]) if len(payloads) >= 2 else None
