"""Defects of the line: what a tool makes of bytes and frames, in either direction. They know no faults of the way."""

from __future__ import annotations

from nexus_simulator.link import FLIGHT_NS, Link
from nexuslink.protocol.framing import CRC_SIZE, MAX_FRAME, frame

EVERY = 10
ZEROS_MAX = 50


class WrongCrc(Link):
    """The check of every tenth frame does not fit."""

    frames = 0

    def poll(self, on_ns: int, room: int | None = None) -> list[tuple[int, bytes]]:
        """With another byte before the zero."""
        return [(t_ns, self._spoilt(data)) for t_ns, data in super().poll(on_ns, room)]

    def _spoilt(self, data: bytes) -> bytes:
        self.frames += 1
        if self.frames % EVERY or data[-2] == 1:  # 1 could be a COBS code
            return data
        return data[:-2] + bytes([data[-2] ^ 0x55 or 2]) + b"\0"


class Ear(Link):
    """Hears as the reference does. Defects override `heard`, or `receive`."""

    def heard(self, on_ns: int, messages: list[bytes], damaged: int) -> None:
        """Messages of one read, after so many damaged frames."""
        for message in messages:
            self.tool.receive(on_ns + FLIGHT_NS, message)

    def receive(self, on_ns: int, data: bytes) -> None:
        """Through the deframer, as the reference."""
        before = self._deframer.counts.bad
        messages = [message[:-CRC_SIZE] for message in self._deframer.feed(data)]
        damaged = self._deframer.counts.bad - before
        self.heard(on_ns, messages, damaged)
        self.tool.firmware.health.bad_frames += damaged


class SlowResync(Ear):
    """After a damaged frame the next whole one is lost too."""

    confused = False

    def heard(self, on_ns: int, messages: list[bytes], damaged: int) -> None:
        """Without the first one after damage."""
        self.confused = self.confused or damaged > 0
        if self.confused and messages:
            self.confused, messages = False, messages[1:]
        super().heard(on_ns, messages, damaged)


class Overrun(SlowResync):
    """After a frame that is too long the next one is lost."""

    def heard(self, on_ns: int, messages: list[bytes], damaged: int) -> None:
        """Only after one that is too long."""
        super().heard(on_ns, messages, 0)

    def receive(self, on_ns: int, data: bytes) -> None:
        """Looks at its length."""
        super().receive(on_ns, data)
        self.confused = self.confused or max(map(len, data.split(b"\0"))) > 2 * MAX_FRAME


class TiredOfZeros(SlowResync):
    """After a long run of zeros the next frame is lost."""

    def heard(self, on_ns: int, messages: list[bytes], damaged: int) -> None:
        """Damage is no matter."""
        super().heard(on_ns, messages, 0)

    def receive(self, on_ns: int, data: bytes) -> None:
        """Looks for zeros."""
        super().receive(on_ns, data)
        self.confused = self.confused or bytes(ZEROS_MAX) in data


class CountsZeros(Ear):
    """Idle zeros are counted as damaged frames."""

    def receive(self, on_ns: int, data: bytes) -> None:
        """Counts them."""
        super().receive(on_ns, data)
        self.tool.firmware.health.bad_frames += data.count(b"\0\0")


class WholeWrites(Ear):
    """A frame must come in one piece."""

    def receive(self, on_ns: int, data: bytes) -> None:
        """Forgets what does not end with a zero."""
        if data.endswith(b"\0") and len(data) > 1:
            super().receive(on_ns, data)


class OneAWrite(Ear):
    """Of frames that come together only the first is read."""

    def heard(self, on_ns: int, messages: list[bytes], damaged: int) -> None:
        """The first."""
        super().heard(on_ns, messages[:1], damaged)


class NoCheck(Ear):
    """The CRC is not looked at."""

    begun = b""

    def receive(self, on_ns: int, data: bytes) -> None:
        """Mends the check of whatever comes."""
        *pieces, self.begun = (self.begun + data).split(b"\0")
        for piece in filter(None, pieces):
            content = uncobs(piece)
            if content is not None and len(content) > CRC_SIZE:
                super().receive(on_ns, frame(content[:-CRC_SIZE]))


class NeverCounts(Ear):
    """bad_frames stays where it is."""

    def receive(self, on_ns: int, data: bytes) -> None:
        """Does not count."""
        super().receive(on_ns, data)
        self.tool.firmware.health.bad_frames = 0


def uncobs(piece: bytes) -> bytes | None:
    """The bytes inside a frame without its zero; None: it is none."""
    out = bytearray()
    at = 0
    while at < len(piece):
        code = piece[at]
        if at + code > len(piece):
            return None
        out += piece[at + 1 : at + code]
        at += code
        out += b"\0" if code < 0xFF and at < len(piece) else b""
    return bytes(out)
