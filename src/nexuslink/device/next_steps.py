"""What each verdict means to a person, and what to do next: one table, by platform where that differs.

A tool that does not let this computer in does not say why: whether it has never met it, is paired with others, or was
not asked by its button to pair, it says the same (protocol 1.0, see `transport.ble_pairing`). The words of NOT_PAIRED
are true of each. KEY_LOST is said by the system, KEY_DOUBTED is what it looks like where the system says nothing.

An error's own sentence names addresses and causes for whoever looks for a fault; the words here are for whoever holds
the tool. It knows verdicts only: no error, no link, no window.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nexuslink.device.verdict import Verdict

PRESS_S: Final = 3
"""How long the tool's button is held to let a new computer in [assumption, as in the simulated tool]."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """``words``: what is so, a short sentence. ``step``: what to do, one line; empty where there is nothing to do."""

    words: str
    step: str = ""
    tell: bool = False
    """The error's own sentence says more than these words: show it too."""

    @property
    def line(self) -> str:
        """Both, one line."""
        return f"{self.words} {self.step}".rstrip()


_BUTTON: Final = f"Hold the tool's button for {PRESS_S} s, then connect again and compare the six digits."
_AWAY: Final = "Switch the tool on and bring it near, or plug in its cable."
_SWITCH: Final = {
    "darwin": "Switch it on in Control Center, or plug in the tool's cable.",
    "win32": "Switch it on in Settings, Bluetooth & devices, or plug in the tool's cable.",
    "linux": "Switch it on in the system's settings, or plug in the tool's cable.",
}
_ALLOW: Final = {
    "darwin": "Allow it in System Settings, Privacy & Security, Bluetooth, then start this program again.",
    "win32": "Allow it in Settings, Privacy & security, Radios, then try again.",
    "linux": "Add yourself to the group bluetooth, log in again, then try again.",
}
_PORT: Final = {
    "darwin": "Unplug the tool, plug it in again, then try again.",
    "win32": "Close other programs that use the port, then plug the tool in again.",
    "linux": "Add yourself to the group dialout, log in again, then try again.",
}
_LIST: Final = {
    "darwin": "System Settings, Bluetooth",
    "win32": "Settings, Bluetooth & devices",
    "linux": "the Bluetooth settings",
}
_ALSO: Final = {"linux": " and here"}
"""Where the system says who has a key, a remembered tool without one passes for another tool until it is forgotten."""
_UNPAIR: Final = {
    platform: f"Forget it in {where}{_ALSO.get(platform, '')}. Then hold its button for {PRESS_S} s and connect again."
    for platform, where in _LIST.items()
}
_DOUBT: Final = {
    platform: f"If it is near, forget it in {where}{_ALSO.get(platform, '')}, hold its button for {PRESS_S} s, connect."
    for platform, where in _LIST.items()
}
_CONFIRM: Final = "Pair it once in a desktop's Bluetooth settings, or leave bluetoothctl open beside this program."

_Step = str | Mapping[str, str]

TABLE: Final[dict[Verdict, tuple[str, _Step, bool]]] = {
    # verdict: what is so, what to do (by platform), whether the error's own sentence says more
    Verdict.CONNECTED: ("Connected.", "", False),
    Verdict.NOT_THERE: ("The tool is not near.", _AWAY, False),
    Verdict.OUT_OF_REACH: ("The tool is out of reach.",
        "Bring it nearer, switch it on, and see that no other computer is connected to it.", False),
    Verdict.NO_LINK: ("No connection came about.", "Bring the tool nearer or plug it in again, then try again.", True),
    Verdict.IN_USE: ("Another program uses the tool.", "Close that program, then try again.", False),
    Verdict.DENIED: ("This program may not open the port.", _PORT, False),
    Verdict.BAD_ADDRESS: ("This address cannot be used.", "Pick the tool from the list.", True),
    Verdict.NO_RADIO: ("Bluetooth does not work here.",
        "Switch Bluetooth off and on, or plug in the tool's cable.", True),
    Verdict.RADIO_OFF: ("Bluetooth is off.", _SWITCH, False),
    Verdict.RADIO_DENIED: ("This program may not use Bluetooth.", _ALLOW, False),
    Verdict.RADIO_BUSY: ("Bluetooth is still busy.", "Wait a moment, then try again.", True),
    Verdict.NOT_PAIRED: ("The tool does not know this computer.", _BUTTON, False),
    Verdict.KEY_LOST: ("The tool no longer knows this computer.", _UNPAIR, False),
    Verdict.KEY_DOUBTED: ("The tool has probably forgotten this computer.", _DOUBT, False),
    Verdict.NO_AGENT: ("Nothing on this computer can confirm a pairing.", _CONFIRM, False),
    Verdict.SEVERAL: ("Several tools are near.", "Pick one by its serial number.", True),
    Verdict.NO_ANSWER: ("The tool does not answer.", "Switch it off and on, then try again.", False),
    Verdict.OTHER_TOOL: ("Another tool is there.", "Switch on the tool that is meant, or pick this one.", True),
    Verdict.IMPOSTOR: ("This is not the tool that you paired.",
        "If it is yours and was set back, forget it here and pair it again. Else leave it alone.", False),
    Verdict.OTHER_VERSION: ("Tool and program do not fit together.", "Update the one that is older.", True),
    Verdict.REFUSED: ("The tool said no.", "Switch it off and on, then try again.", True),
    Verdict.BAD_ANSWER: ("What answers is not a Nexus.", "Pick another tool, or update this one's firmware.", True),
    Verdict.SILENT: ("The tool sends nothing.", "Switch it off and on, then try again.", False),
    Verdict.RESTARTED: ("The tool has restarted.", "It is connected again.", False),
    Verdict.LINK_LOST: ("The connection is lost.", "Bring the tool nearer, or check its cable.", False),
    Verdict.NEARER_WAY: ("The tool is plugged in.", "Changing over to the cable.", False),
    Verdict.LET_GO: ("Disconnected.", "Connect when you are ready.", False),
    Verdict.BROKEN: ("This program made a mistake.", "Try again, and report the line below.", True),
}  # fmt: skip
"""Every verdict has a row."""


def next_step(verdict: Verdict, platform: str = sys.platform) -> NextStep:
    """Words and step for a verdict; a platform without words of its own gets those of Linux."""
    words, step, tell = TABLE[verdict]
    return NextStep(words, step if isinstance(step, str) else step.get(platform, step["linux"]), tell)


def pairing_step(number: int | None) -> NextStep:
    """While a person is asked to confirm a pairing. ``number``: the six digits, where they are known."""
    if number is None:
        return NextStep("Pairing.", "Confirm the pairing on the tool and in the system's window, where they ask.")
    return NextStep("Pairing.", f"Compare the number {number:06d} on the tool.")
