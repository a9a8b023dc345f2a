"""What one line of the suite is: an id for ever, a sentence, where it comes from, and the check. Knows no check.

A check is a coroutine over the `Host`. It returns its evidence, figures of what was seen, or raises `Failed` or
`NotApplicable` with the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from nexuslink.protocol.messages import Capability

if TYPE_CHECKING:
    from nexus_conformance.host import Host


class Failed(Exception):  # noqa: N818  - a verdict on the tool, not an error of the suite
    """The tool does not do it; the text is the evidence."""


class NotApplicable(Exception):  # noqa: N818
    """The tool, or the carrier, has nothing to judge here; the text says what is absent."""


class Consent(StrEnum):
    """What the person must have allowed before a check may run."""

    NOTHING = ""
    WRITE = "write"
    """It changes what the tool keeps over a restart (with the bytes that are there already)."""
    RESET = "reset"
    """It restarts the tool."""


NOTHING: Final = Capability(0)
"""No capability needed."""
Check = Callable[["Host"], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that a tool must do."""

    id: str
    """NX-, the noun, a number. Never given twice, never changed."""
    sentence: str
    source: str
    """Where the reference says so: message, opcode or constant."""
    check: Check
    needs: Capability = NOTHING
    """Without all of these bits in INFO.capabilities it does not apply."""
    consents: tuple[Consent, ...] = ()
    framed: bool = False
    """Only on carriers that are streams of bytes."""


def need(condition: bool, evidence: str) -> None:
    """Raise `Failed` with the evidence where the condition does not hold."""
    if not condition:
        raise Failed(evidence)
