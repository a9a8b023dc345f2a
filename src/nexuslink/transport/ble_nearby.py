"""The tools that advertise nearby: a list that stays still enough to point at, whatever is on the air.

Everything in an advertisement is a claim of whoever sends it. What can be shown is shown with its doubt, what cannot is
counted; nothing here raises on it, and the list is bounded. Time is handed in, in seconds of any steady clock.
Nothing of bleak is imported: devices and advertisements are taken by their attributes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from nexuslink.protocol.messages import NEXUS_SERVICE_UUID

TIME_CONSTANT_S: Final = 2.0
"""Of the signal's exponential smoothing: a still tool jitters by several dB from one advertisement to the next."""
FORGET_S: Final = 10.0
"""A tool that has been silent for so long is no longer listed; it advertises several times a second."""
TOOLS_MAX: Final = 64
"""Entries in the list. Beyond that the one that has been silent longest goes, counted."""
NAME_MAX: Final = 32
"""Characters of a name that are shown."""
RSSI_DBM: Final = (-126, 20)
"""What a radio can measure (Core specification, vol. 4, part E, 7.7.65.2); -127 and 127 mean that it did not."""
SIMULATED_PREFIX: Final = "SIM-"
"""Serial numbers of simulated tools begin so. Only a hint before connecting: the tool itself says it in INFO."""

NO_NAME: Final = "(no name)"
NO_SERIAL: Final = "says that it is a Nexus, but names no serial number"
BAD_SERIAL: Final = "its serial number cannot be read"
TWICE: Final = "another one near has the same serial number"

_SERIAL: Final = re.compile(rb"[!-~]{1,16}")


@dataclass(frozen=True, slots=True)
class Found:
    """One tool in the list, as it was when asked for."""

    name: str
    serial_number: str | None
    """``None``: see `doubt`."""
    address: str
    """Opaque: a UUID on macOS, and elsewhere it may change with every start. A tool is its serial number."""
    rssi_dbm: float
    """Smoothed signal; NaN where the system does not tell."""
    silent_s: float
    """Since it was heard last."""
    simulated: bool
    bonded: bool | None
    """This computer has a key of it; ``None``: the system does not say before connecting."""
    doubt: str | None
    """What is odd about it, in words."""
    url: str
    """How to connect to it."""
    device: Any = field(default=None, compare=False, repr=False)
    """bleak's ``BLEDevice``."""


@dataclass(slots=True)
class NearbyCounts:
    """What has been heard, and what was not used of it."""

    heard: int = 0
    foreign: int = 0
    """Advertisements of something else."""
    odd: int = 0
    """Fields that could not be used as they were: not text, too long, out of range."""
    forgotten: int = 0
    """Tools that fell silent."""
    pushed_out: int = 0
    """Tools that had to go because the list was full."""


@dataclass(slots=True)
class _Entry:
    address: str
    device: Any = None
    name: str = NO_NAME
    serial_number: str | None = None
    bad_serial: bool = False
    rssi_dbm: float = math.nan
    heard_s: float = 0.0


class Nearby:
    """The list. ``query``: what every URL in it ends with, for example ``?radio=...``."""

    def __init__(self, query: str = "", forget_s: float = FORGET_S) -> None:
        self.counts = NearbyCounts()
        self._query = query
        self._forget_s = forget_s
        self._entries: dict[str, _Entry] = {}

    def heard(self, device: Any, advertisement: Any, now_s: float) -> None:
        """One advertisement."""
        self.counts.heard += 1
        data = advertisement.service_data or {}
        claims = {str(u).lower() for u in (*(advertisement.service_uuids or ()), *data)}
        if NEXUS_SERVICE_UUID not in claims:
            self.counts.foreign += 1
            return
        address = str(device.address)
        entry = self._entries.get(address)
        if entry is None:
            entry = self._entries[address] = _Entry(address)
            self._make_room()
        silent_s = max(0.0, now_s - entry.heard_s)
        entry.device, entry.heard_s = device, now_s
        self._take_name(entry, advertisement.local_name)
        self._take_serial(entry, next((v for u, v in data.items() if str(u).lower() == NEXUS_SERVICE_UUID), None))
        self._take_signal(entry, advertisement.rssi, silent_s)

    def tools(self, now_s: float) -> list[Found]:
        """Who is there now, in the order in which they were first heard, or were sorted last."""
        for entry in [e for e in self._entries.values() if now_s - e.heard_s > self._forget_s]:
            del self._entries[entry.address]
            self.counts.forgotten += 1
        serials = [e.serial_number for e in self._entries.values()]
        return [self._found(e, now_s, serials.count(e.serial_number) > 1) for e in self._entries.values()]

    def sort(self) -> None:
        """The strongest first, from now on; whoever comes later is added at the end."""
        entries = sorted(self._entries.values(), key=lambda e: -math.inf if math.isnan(e.rssi_dbm) else e.rssi_dbm)
        self._entries = {e.address: e for e in reversed(entries)}

    def _found(self, entry: _Entry, now_s: float, twice: bool) -> Found:
        serial = entry.serial_number
        doubt = None
        if serial is None:
            doubt = BAD_SERIAL if entry.bad_serial else NO_SERIAL
        elif twice:
            doubt = TWICE
        target = entry.address if serial is None or twice else serial
        return Found(
            entry.name, serial, entry.address, entry.rssi_dbm, max(0.0, now_s - entry.heard_s),
            serial is not None and serial.startswith(SIMULATED_PREFIX), bonded(entry.device), doubt,
            f"ble://{quote(target, safe=':')}{self._query}", entry.device,
        )  # fmt: skip

    def _make_room(self) -> None:
        if len(self._entries) > TOOLS_MAX:
            *others, _ = self._entries.values()
            del self._entries[min(others, key=lambda e: e.heard_s).address]
            self.counts.pushed_out += 1

    def _take_name(self, entry: _Entry, name: object) -> None:
        if name is None:
            return
        clean = "".join(c if c.isprintable() else "\ufffd" for c in str(name))
        clean = " ".join(clean.split())[:NAME_MAX]
        self.counts.odd += clean != name
        entry.name = clean or NO_NAME

    def _take_serial(self, entry: _Entry, data: object) -> None:
        if data is None:  # comes with the scan response, which is not heard every time
            return
        value = bytes(data).rstrip(b"\0") if isinstance(data, (bytes, bytearray)) else b""
        entry.bad_serial = _SERIAL.fullmatch(value) is None
        entry.serial_number = None if entry.bad_serial else value.decode("ascii")
        self.counts.odd += entry.bad_serial

    def _take_signal(self, entry: _Entry, rssi: object, silent_s: float) -> None:
        if not isinstance(rssi, (int, float)) or not RSSI_DBM[0] <= rssi <= RSSI_DBM[1]:
            self.counts.odd += rssi not in (None, -127, 127)
            return
        if math.isnan(entry.rssi_dbm):
            entry.rssi_dbm = float(rssi)
        else:
            entry.rssi_dbm += (rssi - entry.rssi_dbm) * -math.expm1(-silent_s / TIME_CONSTANT_S)


def bonded(device: Any) -> bool | None:
    """Does this computer have a key of the device? BlueZ says so with every advertisement, other systems do not."""
    details = getattr(device, "details", None)
    props = details.get("props") if isinstance(details, dict) else None
    if not isinstance(props, dict):
        return None
    known = props.get("Bonded", props.get("Paired"))  # "Bonded" since BlueZ 5.66
    return known if isinstance(known, bool) else None
