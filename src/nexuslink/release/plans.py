"""What a guided hold asks for, per site: data read from TOML, judged before anything trusts it.

A plan file has one line per field. Words are strings; every number is ``{ value = 10.0, source = "..." }``, so that
no figure can be entered without saying where it comes from. ``parse_plan`` is the only way from text to a plan and
``plan_text`` the way back, so a recording can carry the very plan it was made with. Files are hostile: every defect
becomes a ``PlanError`` with one line. This module must never know a sample, a device or a screen.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Final

from nexuslink.release import limits
from nexuslink.release.errors import PlanError

SITES: Final[tuple[str, ...]] = ("psoas-left", "psoas-right", "iliacus-left", "iliacus-right")
TIP_NAMES: Final = ("broad tip", "narrow tip")

_MAX_BYTES: Final = 65_536
_MAX_WORDS: Final = 120
_WORDS: Final = ("site", "title", "mark_toward", "away", "position", "place")
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "site": SITES,
    "mark_toward": ("midline", "ilium"),
    "away": ("out", "midline"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One guided hold. Units are in the names; angles as in the estimation room; ``sources`` names every number's."""

    site: str
    title: str
    tip: int
    tip_name: str
    side: str
    mark_toward: str
    away: str
    level: int
    hold_s: float
    contact_n: float
    band_low_n: float
    band_high_n: float
    warn_n: float
    stop_n: float
    ramp_n_per_s: float
    angle_low_deg: float
    angle_high_deg: float
    direction_deg: float
    direction_half_width_deg: float
    position: str
    place: str
    sources: Mapping[str, str] = field(hash=False)

    def __post_init__(self) -> None:
        """Whoever builds or alters a plan by hand meets the same limits as a file."""
        _judge({name: getattr(self, name) for name in _NUMBERS}, self.tip, f"plan {self.site}")


@dataclass(frozen=True, slots=True)
class _Number:
    """What one number may be: lowest and highest per tip, and its unit for the message."""

    low: float
    high: Callable[[int], float]
    unit: str
    whole: bool = False


def _fixed(bounds: tuple[float, float], unit: str, whole: bool = False) -> _Number:
    return _Number(bounds[0], lambda _tip: bounds[1], unit, whole)


def _force() -> _Number:
    return _Number(limits.CONTACT_RANGE_N[0], lambda tip: limits.BUILT_IN_STOP_N[tip], "N")


_TURN: Final = (-limits.ANGLE_MAX_DEG, limits.ANGLE_MAX_DEG)
_NUMBERS: Final[Mapping[str, _Number]] = {
    "level": _fixed(limits.LEVEL_RANGE, "", whole=True),
    "hold_s": _fixed(limits.HOLD_RANGE_S, "s"),
    "contact_n": _fixed(limits.CONTACT_RANGE_N, "N"),
    "band_low_n": _force(),
    "band_high_n": _force(),
    "warn_n": _force(),
    "stop_n": _force(),
    "ramp_n_per_s": _fixed(limits.RAMP_RANGE_N_PER_S, "N/s"),
    "angle_low_deg": _fixed(limits.LEAN_RANGE_DEG, "deg"),
    "angle_high_deg": _fixed(limits.LEAN_RANGE_DEG, "deg"),
    "direction_deg": _fixed(_TURN, "deg"),
    "direction_half_width_deg": _fixed(limits.HALF_WIDTH_RANGE_DEG, "deg"),
}
_RISING: Final = (
    ("contact_n", "band_low_n", limits.MIN_STEP_N, "N"),
    ("band_low_n", "band_high_n", limits.MIN_STEP_N, "N"),
    ("band_high_n", "warn_n", limits.MIN_STEP_N, "N"),
    ("warn_n", "stop_n", limits.MIN_STEP_N, "N"),
    ("angle_low_deg", "angle_high_deg", limits.MIN_STEP_DEG, "deg"),
)
"""Pairs that must rise, and by how much at least."""


def _judge(numbers: Mapping[str, float], tip: int, where: str) -> None:
    """Raise for the first number out of its range or out of order."""
    if tip not in range(len(limits.TIPS)):
        raise PlanError(where, f"tip is {tip!r}", "use 0 (broad) or 1 (narrow)")
    for key, rule in _NUMBERS.items():
        value, high = numbers[key], rule.high(tip)
        if not rule.low <= value <= high:
            built_in = " (the built-in stop)" if high == limits.BUILT_IN_STOP_N[tip] and rule.unit == "N" else ""
            remedy = f"use {rule.low:g} to {high:g} {rule.unit}".rstrip() + built_in
            raise PlanError(where, f"{key} is {value:g}", remedy)
    for lower, upper, step, unit in _RISING:
        if not numbers[upper] - numbers[lower] >= step:
            what = f"{upper} is {numbers[upper]:g} but {lower} is {numbers[lower]:g}"
            raise PlanError(where, what, f"put {upper} at least {step:g} {unit} above {lower}")


def _number(key: str, entry: object, where: str) -> tuple[float, str]:
    """Value and source of one number's entry; a bool is no number, and an int is one."""
    remedy = f'write {key} = {{ value = NUMBER, source = "WHERE FROM" }}'
    if not isinstance(entry, dict):
        raise PlanError(where, f"{key} is not a number with a source", remedy)
    for part in entry.keys() ^ {"value", "source"}:
        raise PlanError(where, f"{key} has {'an unknown' if part in entry else 'no'} {part!r}", remedy)
    value = entry["value"]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PlanError(where, f"{key} has a value of the wrong type ({type(value).__name__})", remedy)
    if isinstance(value, float) and not math.isfinite(value):
        raise PlanError(where, f"{key} is {value}", "use a finite number")
    if abs(value) > 1e9 or (_NUMBERS[key].whole and value != int(value)):
        raise PlanError(where, f"{key} is absurd", "use a whole number" if _NUMBERS[key].whole else "use a real figure")
    return (int(value) if _NUMBERS[key].whole else float(value)), _words(f"{key}.source", entry["source"], where)


def _words(key: str, entry: object, where: str) -> str:
    if not isinstance(entry, str):
        raise PlanError(where, f"{key} has the wrong type ({type(entry).__name__})", f'write {key} = "TEXT"')
    if not entry.strip() or len(entry) > _MAX_WORDS or not entry.isprintable():
        raise PlanError(
            where, f"{key} is empty, too long or not plain text", f"use one line of 1 to {_MAX_WORDS} letters"
        )
    choices = _CHOICES.get(key)
    if choices is not None and entry not in choices:
        raise PlanError(where, f"{key} is {entry!r}", f"use one of {', '.join(choices)}")
    return entry


def parse_plan(text: str, where: str) -> Plan:
    """Make a plan of TOML ``text``; ``where`` names the text's origin in an error. Raises only PlanError."""
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise PlanError(where, f"not TOML ({error})", "mend the file, or start from a shipped plan") from None
    known = (*_WORDS, *_NUMBERS)
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, 1)
            raise PlanError(where, f"unknown key {key!r}", f"use {near[0]}" if near else "remove it")
    for key in known:
        if key not in table:
            raise PlanError(where, f"{key} is missing", "add it, as in a shipped plan")
    words: dict[str, Any] = {key: _words(key, table[key], where) for key in _WORDS}
    numbers = {key: _number(key, table[key], where) for key in _NUMBERS}
    muscle, _, side = words["site"].partition("-")
    tip = limits.TIPS.index(muscle)
    values: dict[str, Any] = {key: value for key, (value, _source) in numbers.items()}
    _judge(values, tip, where)
    sources = {key: source for key, (_value, source) in numbers.items()}
    return Plan(**words, **values, tip=tip, tip_name=TIP_NAMES[tip], side=side, sources=sources)


def plan_text(plan: Plan) -> str:
    """The plan as TOML: ``parse_plan(plan_text(plan), where)`` equals a plan that came from ``parse_plan``."""

    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)  # for printable text a JSON string is a TOML string

    lines = [f"{key} = {quoted(getattr(plan, key))}" for key in _WORDS]
    lines += [f"{key} = {{ value = {getattr(plan, key)!r}, source = {quoted(plan.sources[key])} }}" for key in _NUMBERS]
    return "\n".join(lines) + "\n"


def load_plan_file(path: str | Path) -> Plan:
    """The plan in a file of the user's. Raises only PlanError."""
    where, path = str(path), Path(path)
    try:
        if not path.is_file():  # also keeps out pipes and devices, which would never end
            raise PlanError(where, "no such plan file", "check the path, or name a site")
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise PlanError(where, f"cannot be read ({error.strerror})", "check the path and its permissions") from None
    if len(data) > _MAX_BYTES:
        raise PlanError(where, f"longer than {_MAX_BYTES // 1024} KiB", "this is no plan file")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise PlanError(where, f"not UTF-8 (byte {error.start})", "save the file as UTF-8") from None
    return parse_plan(text, where)


@cache
def _shipped(site: str) -> Plan:
    from importlib import resources

    text = (resources.files("nexuslink.release") / "data" / f"{site}.toml").read_text("utf-8")
    return parse_plan(text, f"{site}.toml")


def load_plan(site: str) -> Plan:
    """The shipped plan of a site. Raises PlanError for a site there is none for."""
    if site not in SITES:
        near = get_close_matches(site, SITES, 1)
        raise PlanError(f"site {site!r}", "unknown", f"use {near[0] if near else 'one of ' + ', '.join(SITES)}")
    return _shipped(site)
