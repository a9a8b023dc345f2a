"""Where one session ends and the next begins, for messages that were overtaken on the way.

Numbers begin anew at START. A stream message of the session before that comes only then (something on the way let
others overtake it) would look like thousands of lost ones. Its device time tells: it is before STOP's, and before
START's. Judged by this are only the first messages after `begin`, so that a clock that is set back later on costs
nothing. Nothing here knows what the numbers mean: that is `accounting`'s.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from nexuslink.protocol.envelope import Response
from nexuslink.protocol.messages import (
    DATA_HEADER,
    MESSAGE_HEADER,
    MessageType,
    Opcode,
    StartResponse,
    Status,
    StopResponse,
)

JUDGED: Final = 256
"""Stream messages after `Threshold.begin` that are looked at: a second or two, longer than anything is overtaken."""
SLACK_US: Final = 100
"""How far a tool may round the device time of its first sample."""
_STAMP: Final = Struct("<Q")
_STAMP_AT: Final = {
    int(MessageType.DATA): DATA_HEADER.size - _STAMP.size,
    int(MessageType.STATUS): MESSAGE_HEADER.size,
    int(MessageType.LOG): MESSAGE_HEADER.size,
    int(MessageType.FAULT): MESSAGE_HEADER.size,
    int(MessageType.EVENT): MESSAGE_HEADER.size,
}
"""Where each stream message has its device time. One of a later version is not judged."""


class Threshold:
    """Tells messages of the session before. One per link."""

    def __init__(self) -> None:
        self.open = 0
        """Stream messages that are still to be judged; 0: none, and nobody needs to ask."""
        self._not_before_us = 0
        self._session = 0

    def begin(self) -> None:
        """A START was sent. Before the first answered one of a link nothing can have been on the way."""
        self.open = JUDGED if self._not_before_us else 0

    def answered(self, response: Response) -> None:
        """A response came, of whatever request."""
        if response.status != Status.OK:
            return
        if response.opcode == Opcode.STOP:
            stopped = StopResponse.unpack(response.payload)
            if stopped is not None and stopped.totals.session >= self._session:  # else a copy of an older one
                self._not_before_us = stopped.t_us
        elif response.opcode == Opcode.START:
            started = StartResponse.unpack(response.payload)
            if started is not None and started.session >= self._session:
                self._session = started.session
                self._not_before_us = max(0, started.t_us - SLACK_US)

    def too_early(self, message: bytes) -> bool:
        """Is this stream message, header first, one of the session before? Call only while `open`."""
        self.open -= 1
        at = _STAMP_AT.get(message[0])
        if at is None or len(message) < at + _STAMP.size:
            return False
        stamp: int = _STAMP.unpack_from(message, at)[0]
        return stamp < self._not_before_us
