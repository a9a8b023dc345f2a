"""Where the wanted tool may be, in the order in which to try: sure ways first, the better carrier first, guesses last.

Addresses that turned out to be another tool's are left alone until they vanish; ports where nobody answered are asked
again more seldom. Knows no link and opens nothing.
"""

from __future__ import annotations

from typing import Final

from nexuslink.device.discovery import Discovery
from nexuslink.device.finders import SIMULATED_SERIAL, FoundTool
from nexuslink.device.remembered import RememberedTools

MUTE_ROUNDS: Final = 3
"""Rounds for which a guess that gave no answer is left out: a modem must not be asked all day."""
SHUNNED_LOOKS: Final = 30
"""Looks for a better way for which one that has just failed is left out, unless it vanishes meanwhile."""
GUESSED: Final = ("serial", "tcp", "sim")
"""Carriers on which nobody says from afar who it is."""


class Candidates:
    """Of one tool: by serial number, or by an address until the tool there has said its own."""

    def __init__(
        self, discovery: Discovery, owner: object, serial_number: str | None, url: str | None,
        remembered: RememberedTools | None,
    ) -> None:  # fmt: skip
        self.serial_number = serial_number
        self._discovery = discovery
        self._owner = owner
        self._named = (url,) if url is not None else ()
        self._remembered = remembered
        self._round: list[FoundTool] = []
        self._tried: set[str] = set()
        self._foreign: set[str] = set()
        self._mute: dict[str, int] = {}
        self._telling: set[str] = set()
        """Carriers on which this tool has said from afar who it is: no need to guess there."""
        self._claimed = False
        """Somebody near says this serial number and is not it: a look must not end with the first who says so."""
        self._shunned: dict[str, int] = {}

    async def next(self) -> FoundTool | None:
        """The next one to try in this round, or ``None`` where none is left."""
        self._round = await self._ordered()
        for tool in self._round:
            if tool.url not in self._tried:
                self._tried.add(tool.url)
                return tool
        return None

    def others_left(self) -> bool:
        """There is somebody in this round who was not tried."""
        return any(tool.url not in self._tried for tool in self._round)

    def begin_round(self) -> None:
        """Everybody may be tried again."""
        self._tried.clear()
        self._round = []
        self._mute = {url: rounds - 1 for url, rounds in self._mute.items() if rounds > 1}

    def confirmed(self, tool: FoundTool, serial_number: str) -> None:
        """It is there: known by its serial number from now on. What failed on the way is not tried soon again."""
        self.serial_number = serial_number
        self._claimed = False
        if tool.serial_number == serial_number:
            self._telling.add(tool.scheme)
        self._shunned |= dict.fromkeys(self._tried - {tool.url}, SHUNNED_LOOKS)
        self.begin_round()

    def foreign(self, tool: FoundTool) -> None:
        """Another tool is there."""
        self._foreign.add(tool.url)

    def impostor(self) -> None:
        """Somebody claims to be the tool."""
        self._claimed = True

    def mute(self, tool: FoundTool) -> None:
        """Nobody answered there."""
        self._mute[tool.url] = MUTE_ROUNDS

    async def nearer(self, at: FoundTool) -> FoundTool | None:
        """The same tool over a better carrier than ``at``, by what is known from afar. One that failed is not it."""
        found = await self._discovery.look(quick=True)
        there = {tool.url for tool in found}
        self._shunned = {url: looks - 1 for url, looks in self._shunned.items() if looks > 1 and url in there}
        better = [
            tool for tool in found
            if tool.rank < at.rank and self._is_it(tool) and tool.url not in self._shunned
            and not self._discovery.held(tool.url, self._owner)
        ]  # fmt: skip
        return min(better, key=lambda tool: tool.rank, default=None)

    def absence(self) -> str:
        """Nobody was there: one sentence, with what kept the finders from looking."""
        who = self.serial_number or "the tool"
        troubles = "; ".join(self._discovery.troubles.values())
        hint = f" ({troubles})" if troubles else ""
        return f"{who} is not to be found{hint}; is it switched on, near or plugged in?"

    def _is_it(self, tool: FoundTool) -> bool:
        if self.serial_number is None:
            return False
        if tool.serial_number == self.serial_number:
            return True
        known = self._remembered.find(self.serial_number) if self._remembered is not None else None
        return known is not None and bool(tool.identity) and known.identity == tool.identity

    def _may_be(self, tool: FoundTool) -> bool:
        """Only asking can tell."""
        assert self.serial_number is not None
        if tool.scheme not in GUESSED or tool.scheme in self._telling or tool.url in self._foreign:
            return False
        real = not self.serial_number.startswith(SIMULATED_SERIAL)
        known = self._remembered is not None and tool.serial_number and self._remembered.find(tool.serial_number)
        return not known and not (real and tool.simulated)

    async def _ordered(self) -> list[FoundTool]:
        if self.serial_number is None:
            return [_at(url) for url in self._named]
        found = await self._discovery.look(wanted=None if self._claimed else self.serial_number)
        self._foreign &= {tool.url for tool in found}
        known = self._remembered.find(self.serial_number) if self._remembered is not None else None
        listed = {tool.url: tool for tool in found}
        ways: dict[str, tuple[int, FoundTool]] = {}
        before = [url for url in known.urls if not url.startswith("ble:")] if known is not None else []
        for url in (*self._named, *before):  # a radio says who is near; nobody needs to wait there for one who is not
            tool = listed.get(url)
            if tool is None or not (tool.serial_number and not self._is_it(tool)):
                ways[url] = (1, tool or _at(url))
        for tool in found:
            if self._is_it(tool):
                ways[tool.url] = (0 if known is None or known.may_be_at(tool.identity, tool.bonded) else 3, tool)
            elif tool.url not in ways and tool.url not in self._mute and self._may_be(tool):
                ways[tool.url] = (2, tool)
        free = [way for way in ways.values() if not self._discovery.held(way[1].url, self._owner)]
        free.sort(key=lambda way: (way[0], way[1].rank, -(way[1].rssi_dbm or -999.0)))
        return [tool for _, tool in free]


def _at(url: str) -> FoundTool:
    return FoundTool(url, url, url.lower().startswith("sim:"), "named")
