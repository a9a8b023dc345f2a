"""What became of one attempt to have a tool: one verdict, one plain sentence, and whether trying again can help.

One table from error classes to verdicts. The sentence is the error's own: each says what, where and what to do. Nothing
here knows a link or a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nexuslink.device import errors as device
from nexuslink.transport import errors as transport


class Verdict(StrEnum):
    """What an attempt came to."""

    CONNECTED = "connected"
    NOT_THERE = "not there"
    NO_LINK = "no link"
    IN_USE = "in use"
    DENIED = "denied"
    BAD_ADDRESS = "bad address"
    NO_RADIO = "no radio"
    RADIO_OFF = "radio off"
    RADIO_DENIED = "radio denied"
    RADIO_BUSY = "radio busy"
    OUT_OF_REACH = "out of reach"
    NOT_PAIRED = "not paired"
    KEY_LOST = "key lost"
    KEY_DOUBTED = "key doubted"
    NO_AGENT = "no agent"
    SEVERAL = "several"
    NO_ANSWER = "no answer"
    OTHER_TOOL = "other tool"
    IMPOSTOR = "impostor"
    OTHER_VERSION = "other version"
    REFUSED = "refused"
    BAD_ANSWER = "bad answer"
    SILENT = "silent"
    RESTARTED = "restarted"
    LINK_LOST = "link lost"
    NEARER_WAY = "nearer way"
    LET_GO = "let go"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Judgement:
    """One attempt's verdict. ``again``: another attempt may end otherwise without anybody doing something here."""

    verdict: Verdict
    sentence: str
    again: bool = True


KINDS: Final[dict[type[Exception], Verdict]] = {
    transport.UrlError: Verdict.BAD_ADDRESS,
    transport.PortNotFoundError: Verdict.NOT_THERE,
    transport.PortBusyError: Verdict.IN_USE,
    transport.PortDeniedError: Verdict.DENIED,
    transport.OutOfReachError: Verdict.OUT_OF_REACH,
    transport.PairingError: Verdict.NOT_PAIRED,
    transport.KeyLostError: Verdict.KEY_LOST,
    transport.KeyDoubtError: Verdict.KEY_DOUBTED,
    transport.NoAgentError: Verdict.NO_AGENT,
    transport.RadioError: Verdict.NO_RADIO,
    transport.RadioOffError: Verdict.RADIO_OFF,
    transport.RadioDeniedError: Verdict.RADIO_DENIED,
    transport.RadioBusyError: Verdict.RADIO_BUSY,
    transport.SeveralToolsError: Verdict.SEVERAL,
    transport.NotANexusError: Verdict.BAD_ANSWER,
    transport.LinkLostError: Verdict.LINK_LOST,
    transport.TransportError: Verdict.NO_LINK,
    device.ImpostorError: Verdict.IMPOSTOR,
    device.OtherToolError: Verdict.OTHER_TOOL,
    device.NoAnswerError: Verdict.NO_ANSWER,
    device.BusyError: Verdict.NO_ANSWER,
    device.VersionError: Verdict.OTHER_VERSION,
    device.RefusedError: Verdict.REFUSED,
    device.UnsupportedError: Verdict.REFUSED,
    device.BadAnswerError: Verdict.BAD_ANSWER,
    device.DeviceError: Verdict.REFUSED,
    OSError: Verdict.NO_LINK,
}
"""The nearest class of an error counts; a class that is not here is this program's own mistake."""
HOPELESS: Final = frozenset({Verdict.BAD_ADDRESS})
"""Only a person can change these."""
PERSONAL: Final = frozenset({Verdict.NOT_PAIRED, Verdict.KEY_LOST, Verdict.NO_AGENT})
"""A person has to do something first; another attempt would only ask them again."""
LINE_MAX: Final = 300


def judge(error: BaseException) -> Judgement:
    """The verdict for whatever an attempt raised."""
    for kind in type(error).__mro__:
        verdict = KINDS.get(kind)
        if verdict is not None:
            return Judgement(verdict, one_line(str(error) or type(error).__name__), verdict not in HOPELESS)
    return Judgement(Verdict.BROKEN, one_line(f"{type(error).__name__}: {error}; report this"))


def one_line(text: str) -> str:
    """Third parties' errors may have many lines, and no end."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * LINE_MAX]).split())
    return line if len(line) <= LINE_MAX else line[: LINE_MAX - 1] + "…"
