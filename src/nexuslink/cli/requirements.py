"""Which packages the installed program says that it needs, and whether a version is in range.

Reads the distribution's own metadata, so that there is one list of ranges: pyproject.toml. Without an installation
the names alone are known. Understands the part of PEP 440 that the list uses: final releases, compared by number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import metadata
from itertools import zip_longest
from typing import Final

MODULES: Final = {
    "numpy": "numpy", "bleak": "bleak", "pyserial": "serial", "vqf": "vqf", "mcap": "mcap", "zstandard": "zstandard",
    "protobuf": "google.protobuf", "PySide6-Essentials": "PySide6.QtCore", "pyqtgraph": "pyqtgraph",
    "miniaudio": "miniaudio", "platformdirs": "platformdirs",
}  # fmt: skip
"""Package -> what is imported. The codec of frames is one of two packages and has a check of its own."""
_LINE: Final = re.compile(r"^\s*([A-Za-z0-9._-]+)\s*(?:\(?([^;()]*)\)?)\s*(?:;(.*))?$")
_CLAUSE: Final = re.compile(r"^(>=|<=|==|!=|<|>)\s*([0-9][0-9.]*)$")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One package and the versions of it that are supported."""

    package: str
    module: str
    range: str
    """``>=1.2,<2``; empty: not known."""

    def allows(self, version: str) -> bool:
        """Is a version in range? What cannot be read as numbers is not judged."""
        found = _release(version)
        if not found:
            return True
        return all(_holds(found, clause.strip()) for clause in self.range.split(",") if clause.strip())

    def __str__(self) -> str:
        return f"{self.package}{self.range}"


def requirements() -> list[Requirement]:
    """Every package of `MODULES`, with the range that the installation declares."""
    ranges: dict[str, str] = {}
    for line in _declared():
        match = _LINE.match(line)
        if match is not None and "extra" not in (match[3] or ""):
            ranges[_normal(match[1])] = match[2].replace(" ", "")
    return [Requirement(package, module, ranges.get(_normal(package), "")) for package, module in MODULES.items()]


def installed_version(package: str) -> str | None:
    """Of an installed package; None where it is not installed (a bare folder on the path has no version)."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _declared() -> list[str]:
    try:
        return metadata.requires("nexuslink") or []
    except metadata.PackageNotFoundError:
        return []


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _release(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def _holds(found: tuple[int, ...], clause: str) -> bool:
    match = _CLAUSE.match(clause)
    if match is None:
        return True
    pairs = list(zip_longest(found, _release(match[2]), fillvalue=0))
    order = next(((a > b) - (a < b) for a, b in pairs if a != b), 0)
    return {
        ">=": order >= 0, "<=": order <= 0, "==": order == 0, "!=": order != 0, "<": order < 0, ">": order > 0,
    }[match[1]]  # fmt: skip
