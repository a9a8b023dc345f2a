"""What can go wrong with a tool that is there. Each message is one line: what, where, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nexuslink.protocol.messages import MIN_LINK_MESSAGE, Status

if TYPE_CHECKING:
    from nexuslink.device.verdict import Verdict


class DeviceError(Exception):
    """A tool that does not do what was asked."""


class NoAnswerError(DeviceError):
    """A request was sent, and sent again, and nothing came back in time."""


class BusyError(DeviceError):
    """The tool said that it is busy until the time was over, or so much waits here that a request's turn never came."""


class VersionError(DeviceError):
    """The tool speaks another major version of the protocol."""


class RefusedError(DeviceError):
    """The tool answered, and said no."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status
        """The `Status` that it answered with."""


class UnsupportedError(DeviceError):
    """This tool has no part for that."""


class NotNowError(DeviceError):
    """The connection is not in a state for this request; nothing was sent."""


class BadValueError(DeviceError):
    """What was to be sent is out of its range; nothing was sent."""


class BadAnswerError(DeviceError):
    """The tool answered with something that cannot be right."""


class OtherToolError(DeviceError):
    """A tool answered, and it is not the one that was wanted."""


class ImpostorError(DeviceError):
    """A tool claims to be one that this person has bonded with, over a link without that bond."""


class NoToolError(DeviceError):
    """The wanted tool was not to be had in time."""

    def __init__(self, message: str, verdict: Verdict | None = None) -> None:
        super().__init__(message)
        self.verdict = verdict
        """Of the attempt that says most about why, where there was one."""


_WORDS: Final[dict[int, str]] = {
    Status.BAD_REQUEST: "it cannot read the request; update the tool's firmware",
    Status.BAD_STATE: "it is not possible now",
    Status.UNSUPPORTED_VERSION: "it speaks another major version; update the tool's firmware or this program",
    Status.FAILED: "it tried and failed; `nexuslink doctor --device` shows its error reports",
    Status.OUT_OF_RANGE: "a value is outside what it can do",
    Status.NOT_AUTHORISED: "it is locked; unlock it with the code from inside its base",
    Status.LINK_TOO_SMALL: (
        f"the link carries less than {MIN_LINK_MESSAGE} bytes a message (its MTU is too small); "
        "use the tool's cable, or another Bluetooth adapter"
    ),
    Status.BAD_CRC: "the record's check does not fit its bytes; send it again",
}


def refusal(url: str, opcode: str, status: int) -> DeviceError:
    """The error that says this status in words."""
    if status in (Status.UNKNOWN_OPCODE, Status.UNSUPPORTED):
        return UnsupportedError(f"{url}: the tool does not know {opcode}; a newer firmware may")
    words = _WORDS.get(status, f"for a reason that this program does not know, status {status}; update nexuslink")
    return RefusedError(f"{url}: the tool refused {opcode}: {words}", status)
