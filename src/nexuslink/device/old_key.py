"""How sure it is that a tool no longer has this computer's key, where the system does not say so.

Then there is no more to see than a link that ends before the key is accepted. Once, a bad link does that too. In a row
it is hardly one, because of a second or so of connecting only that short part must be hit each time: it is *probably*
the key, and the words say "probably". Nothing is removed on such a suspicion, and trying goes on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from nexuslink.device.verdict import Judgement, Verdict

IN_A_ROW: Final = 2
"""Links that must have ended so, with nothing else in between, before it is called probable [assumption]."""


class OldKey:
    """Of one tool: every judgement goes through here."""

    def __init__(self) -> None:
        self._ends = 0

    def judged(self, judgement: Judgement) -> Judgement:
        """The same, or a lost link where it is too early to doubt the key."""
        if judgement.verdict is not Verdict.KEY_DOUBTED:
            self._ends = 0
            return judgement
        self._ends += 1
        if self._ends < IN_A_ROW:
            return replace(judgement, verdict=Verdict.LINK_LOST)
        return replace(judgement, sentence=f"{judgement.sentence} ({self._ends} times in a row now)")
