"""The list of tools to choose from: what finders see and what is remembered, one line a tool, still enough to point at.

A tool is its serial number, whatever it is reached by; what says none is its hardware, or its address. Whoever vanishes
stays for a while, marked as away, so that nothing jumps under a finger; who is remembered stays for good. Time is
handed in, in seconds of any steady clock; knows no radio, no loop and no Qt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from nexuslink.device.finders import MARK, SIMULATED_SERIAL, SIMULATED_URL, FoundTool
from nexuslink.device.next_steps import NextStep
from nexuslink.device.remembered import RememberedTool

AWAY_S: Final = 4.0
"""A radio that has not heard a tool for so long says that it is away; a tool advertises several times a second."""
GONE_S: Final = 20.0
"""After being away for so long, one that is not remembered leaves the list."""
NAMELESS_S: Final = 1.0
"""A tool's serial number comes with its scan response, which may be late; until then it is not listed."""
BARS_DBM: Final = (-90.0, -80.0, -70.0, -60.0)
"""At least one bar from here on, two, three, four [assumption: usual for Bluetooth in a room]."""
SLACK_DB: Final = 2.0
"""How far a signal must go beyond a step before a bar is taken away: a still tool jitters."""
CARRIERS: Final[Mapping[str, str]] = {"serial": "USB", "ble": "Bluetooth", "tcp": "network"}
"""Scheme to word."""
NOT_PAIRED: Final = "says it is yours, but is not paired"


@dataclass(frozen=True, slots=True)
class NearTool:
    """One line in the list of tools."""

    title: str
    url: str
    """To connect to: ``tool:SERIAL`` where the serial number is known, else an address."""
    key: str = ""
    """Which tool it is, from one list to the next."""
    serial_number: str | None = None
    simulated: bool = False
    carriers: tuple[str, ...] = ()
    """In words, the best first; while it is away those by which it was reached before."""
    rssi_dbm: int | None = None
    """Smoothed; ``None`` where no radio hears it."""
    bars: int = 0
    """0 to 4; 0 where no radio hears it."""
    remembered: bool = False
    bonded: bool | None = None
    """This computer has a bond with it; ``None``: the system does not say."""
    last_seen: str = ""
    """In words: when it was used last."""
    present: bool = True
    """It is seen or heard now."""
    trouble: str = ""
    """What is odd about it, a few words."""


@dataclass(frozen=True, slots=True)
class Near:
    """Everything that the choice of a tool is made from, at one moment."""

    tools: tuple[NearTool, ...] = ()
    radio: NextStep | None = None
    """Why Bluetooth cannot be used, and what to do; ``None``: it can, as far as is known."""
    radio_sentence: str = ""
    """What the system says about that."""
    settled: bool = False
    """Everybody has been asked, and the radio has listened long enough: who is not listed is not near."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One tool as one finder sees it."""

    found: FoundTool
    doubt: str = ""
    silent_s: float = 0.0
    twice: bool = False
    """Another one near claims the same serial number."""


@dataclass(slots=True)
class _Way:
    """One tool over one carrier."""

    seen: Seen
    order: int
    first_s: float
    last_s: float
    radio: bool
    there: bool = True

    def present(self, now_s: float) -> bool:
        return now_s - self.last_s < AWAY_S if self.radio else self.there

    @property
    def found(self) -> FoundTool:
        return self.seen.found


class NearList:
    """Feed it with `see`, and ask for `tools`. ``remembered``: latest first."""

    def __init__(self, remembered: Iterable[RememberedTool] = ()) -> None:
        self._ways: dict[str, _Way] = {}
        self._bars: dict[str, int] = {}
        self._orders = 0
        self._heard: set[str] = set()  # where a radio says it too, the serial number of a USB device is the tool's own
        self._known: dict[str, RememberedTool] = {}
        self.remember(remembered)

    def remember(self, remembered: Iterable[RememberedTool]) -> None:
        """Who is remembered now. The simulated tool is always there, and not a memory."""
        self._today = date.today()  # for words only
        self._known = {
            tool.serial_number: tool for tool in remembered if not tool.urls or any(_carrier(u) for u in tool.urls)
        }

    def see(self, source: str, seen: Sequence[Seen], now_s: float, radio: bool = False) -> None:
        """What one finder sees now. A list is all that there is; a ``radio`` may have missed somebody this time."""
        listed = set()
        for one in seen:
            name = f"{source} {one.found.identity or one.found.url}"
            listed.add(name)
            way = self._ways.get(name)
            if way is None:
                self._orders += 1
                way = self._ways[name] = _Way(one, self._orders, now_s, now_s, radio)
            if radio and one.found.serial_number:
                self._heard.add(one.found.serial_number)
            way.seen, way.last_s, way.there = one, max(way.last_s, now_s - one.silent_s), True
        for name, way in self._ways.items():
            if name.startswith(f"{source} ") and name not in listed:
                way.there = False
        self.thin_out(now_s)

    def thin_out(self, now_s: float) -> None:
        """Forget whoever has been away for long."""
        for name, way in list(self._ways.items()):
            if now_s - way.last_s > GONE_S and not way.present(now_s):
                del self._ways[name]
        self._heard &= {way.found.serial_number or "" for way in self._ways.values()}

    def silence(self, source: str, now_s: float) -> None:
        """A radio hears nothing any more: whoever it heard is away."""
        for name, way in self._ways.items():
            if name.startswith(f"{source} "):
                way.there, way.last_s = False, min(way.last_s, now_s - AWAY_S)

    def tools(self, now_s: float) -> tuple[NearTool, ...]:
        """Those that are remembered, then the others as they came, then the simulated one."""
        groups: dict[str, list[_Way]] = {serial: [] for serial in self._known}
        for way in self._ways.values():
            if way.found.serial_number or not way.radio or now_s - way.first_s >= NAMELESS_S:
                groups.setdefault(self._key(way), []).append(way)
        for ways in groups.values():  # whichever of them is gone first, the others keep the place
            first = min((way.order for way in ways), default=0)
            for way in ways:
                way.order = first
        made = [(self._place(key, ways), self._tool(key, ways, now_s)) for key, ways in groups.items()]
        return tuple(tool for _, tool in sorted(made, key=lambda pair: pair[0]))

    def _key(self, way: _Way) -> str:
        """Serial number, hardware or address."""
        found, serial = way.found, way.found.serial_number
        named = found.identity or found.url
        if way.seen.twice and found.bonded is not True:  # one of them lies
            return named
        if serial and (way.radio or serial in self._known or serial in self._heard):
            return serial
        by_hardware = (s for s, known in self._known.items() if found.identity and known.identity == found.identity)
        return next(by_hardware, named)

    def _place(self, key: str, ways: Sequence[_Way]) -> tuple[int, int]:
        if key in self._known:
            return 0, list(self._known).index(key)
        return 2 if key == SIMULATED_URL else 1, ways[0].order

    def _tool(self, key: str, ways: Sequence[_Way], now_s: float) -> NearTool:
        known = self._known.get(key)
        ways = sorted(ways, key=lambda way: (not way.present(now_s), way.found.rank, way.order))
        there = [way for way in ways if way.present(now_s)]
        heard = [way.found.rssi_dbm for way in there if way.found.rssi_dbm is not None]
        said = [way.found.bonded for way in there if way.found.bonded is not None]
        bonded = said[0] if said else (True if known is not None and known.bonded else None)
        serial = known.serial_number if known is not None else ways[0].found.serial_number
        twice = any(way.seen.twice for way in there)
        urls = [way.found.url for way in there or ways] or list(known.urls if known is not None else ())
        trouble = next((way.seen.doubt for way in there if way.seen.doubt), "")
        if known is not None and known.bonded and bonded is False:
            trouble = NOT_PAIRED
        return NearTool(
            title=_title(key, known, ways),
            url=f"{MARK}{serial}" if key == serial and not twice else ways[0].found.url,
            key=key,
            serial_number=serial,
            simulated=_simulated(serial, known, ways),
            carriers=tuple(dict.fromkeys(word for url in urls if (word := _carrier(url)))),
            rssi_dbm=round(max(heard)) if heard else None,
            bars=self._bars_of(key, max(heard) if heard else None),
            remembered=known is not None,
            bonded=bonded,
            last_seen=used(known.last_seen, self._today) if known is not None else "",
            present=bool(there),
            trouble="" if twice and bonded else trouble,
        )

    def _bars_of(self, key: str, rssi_dbm: float | None) -> int:
        if rssi_dbm is None:
            self._bars.pop(key, None)
            return 0
        bars = max(1, sum(rssi_dbm >= step for step in BARS_DBM))
        if bars < (before := self._bars.get(key, 0)):
            bars = min(before, max(bars, sum(rssi_dbm >= step - SLACK_DB for step in BARS_DBM)))
        self._bars[key] = bars
        return bars


def _carrier(url: str) -> str:
    return CARRIERS.get(url.partition(":")[0].lower(), "")


def _title(key: str, known: RememberedTool | None, ways: Sequence[_Way]) -> str:
    if known is not None:
        return known.name or known.model or known.serial_number
    return ways[0].found.name or key


def _simulated(serial: str | None, known: RememberedTool | None, ways: Sequence[_Way]) -> bool:
    claimed = (serial or "").startswith(SIMULATED_SERIAL) or any(way.found.simulated for way in ways)
    return claimed or (known is not None and known.simulated)


def used(last_seen: str, today: date) -> str:
    """When a tool was used last, as people say it; empty where that is not known or cannot be."""
    try:
        day = datetime.fromisoformat(last_seen).astimezone().date()
    except (ValueError, OverflowError, OSError):
        return ""
    days = (today - day).days
    if days < 0:
        return ""
    if days < 2:
        return "last used today" if days == 0 else "last used yesterday"
    return f"last used {days} days ago" if days < 14 else f"last used on {day.isoformat()}"
