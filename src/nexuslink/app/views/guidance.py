"""What the connect view says beside its list, in each of its states. Words only; imports Qt and nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nexuslink.app.instruments.guide import Guidance
from nexuslink.app.instruments.signs import Sign

if TYPE_CHECKING:
    from nexuslink.app.near_list import Near, NearTool
    from nexuslink.device.next_steps import NextStep

LOOK_STEP: Final = "Look for it"
CONNECT_STEP: Final = "Connect"
PAIR_STEP: Final = "Connect and pair"
READ_STEP: Final = "Read what it is"
PAIRING: Final = "pairing"
STAGES: Final = {
    "off": 0, "scanning": 0, "lost": 0, "connecting": 1, PAIRING: 1, "handshaking": 2, "ready": 3, "streaming": 3,
}  # fmt: skip
"""State of the connection, as the supervisor spells it, to steps that are done."""
UNDECIDED: Final = ("scanning", "lost", "connecting")
FIRST_TIME: Final = "First time here: hold the tool's button for 3 s, then compare the six digits and confirm."
NOTHING_NEAR: Final = Guidance(
    "No tool is near.",
    Sign.WAVES,
    steps=("Switch the tool on.", "Bring it near, or plug it in.", "Disconnect it elsewhere."),
    small="It is listed as soon as it is heard. To try things out, take the simulated tool.",
)


def absence(near: Near) -> Guidance | None:
    """Nobody to choose from, and why that may be; ``None``: there is somebody, or it is too early to tell."""
    if any(tool.present and not tool.simulated for tool in near.tools):
        return None
    if near.radio is not None:
        return radio_trouble(near.radio, near.radio_sentence)
    by_radio = any(tool.present and tool.carriers for tool in near.tools)
    return NOTHING_NEAR if near.settled and not by_radio else None


def radio_trouble(step: NextStep, sentence: str) -> Guidance:
    """Bluetooth cannot be used."""
    small = f"{sentence}." if step.tell and sentence else "A tool on a cable is found all the same."
    return Guidance(step.words, Sign.NO_WAVES, "warn", body=step.step, small=small)


def connecting(stage: str, pairs: bool, trouble: NextStep | None) -> Guidance:
    """What is being done. ``pairs``: this computer and the tool do not know each other yet. ``trouble``: of the
    attempt before; it is said until one gets further, so that nothing flickers. While pairing: what to confirm."""
    done = STAGES.get(stage, 0)
    if stage == PAIRING and trouble is not None:
        steps = (LOOK_STEP, PAIR_STEP, READ_STEP)
        return Guidance(trouble.words, Sign.LOCK, steps=steps, done=done, body=trouble.step)
    asks = pairs and 0 < done < STAGES["handshaking"]
    if trouble is not None and stage in UNDECIDED and not asks:
        return Guidance(trouble.words, Sign.WAVES, body=trouble.step, small="Trying again by itself.")
    steps = (LOOK_STEP, PAIR_STEP if pairs else CONNECT_STEP, READ_STEP)
    return Guidance(
        "Connecting.", Sign.LOCK if asks else Sign.WAVES, steps=steps, done=done, body=FIRST_TIME if asks else ""
    )


def failed(message: str, step: NextStep | None, tell: bool) -> Guidance:
    """It did not work. ``tell``: the sentence of the error belongs to it."""
    if step is None:
        return Guidance("That did not work.", Sign.WARNING, "warn", body=message)
    return Guidance(step.words, Sign.WARNING, "warn", body=step.step, small=message if tell or step.tell else "")


def forgetting(tool: NearTool) -> Guidance:
    """Asked before it is done."""
    body = "It will no longer be listed while it is away, and its name here is lost."
    small = "The pairing itself stays in the system's Bluetooth settings; remove it there." if tool.bonded else ""
    return Guidance(f"Forget {tool.title}?", body=body, small=small)


def renaming(tool: NearTool) -> Guidance:
    """Above the line to write in."""
    return Guidance(f"What do you call {tool.serial_number}?", small="Only this computer calls it so.")
