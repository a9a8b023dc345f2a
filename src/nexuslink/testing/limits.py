"""What a bench calls good: a TOML file with one table a measurement.

    [loss_fraction]
    max = 0.001
    unit = "1"
    why = "one message in a thousand: more is seen in the traces"

``min`` or ``max`` or both; ``unit`` and ``why`` always: a bare figure cannot be judged by the next person. The file is
written by strangers, so everything in it is doubted. Standard library only: pytest imports this at its start.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

MAX_BYTES: Final = 1 << 20
_KEYS: Final = ("min", "max", "unit", "why")


class LimitsError(ValueError):
    """A limits file that cannot be used: one line, which file, where in it, what to do."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(" ".join(f"{path}: {text}".split()))


@dataclass(frozen=True, slots=True)
class Limit:
    """What one measurement may be, both ends included."""

    name: str
    low: float
    """-inf: no lower end."""
    high: float
    """+inf: no upper end."""
    unit: str
    """Of the value and of both ends; "1" for a plain number."""
    why: str

    def allows(self, value: float) -> bool:
        """Within both ends. NaN (nothing could be measured) never is."""
        return self.low <= value <= self.high

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"<= {self.high:g}"
        return f">= {self.low:g}" if math.isinf(self.high) else f"{self.low:g} to {self.high:g}"


def load_limits(path: Path, base: Mapping[str, Limit] | None = None) -> dict[str, Limit]:
    """Limits by name. With ``base`` the file may only change what is there, in the same units; the rest stays.

    Raises `LimitsError`.
    """
    limits = dict(base or {})
    for name, table in _tables(path).items():
        limit = _limit(path, name, table)
        if base is not None:
            _check_known(path, limit, base)
        limits[name] = limit
    return limits


def _tables(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise LimitsError(path, f"cannot be read ({reason}); name a limits file (.toml)") from None
    if len(data) > MAX_BYTES:
        raise LimitsError(path, f"is longer than {MAX_BYTES} bytes; that is no limits file")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise LimitsError(path, "is not text in UTF-8; that is no limits file") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise LimitsError(path, f"is not TOML ({error}); mend that line") from None


def _limit(path: Path, name: str, table: object) -> Limit:
    where = f"[{name[:60]!s}]" if name.isidentifier() else f"{name[:60]!r}"
    if not isinstance(table, dict):
        raise LimitsError(path, f"{where} is not a table; write [{where.strip('[]')}] and its max, unit and why below")
    for key in table:
        if key not in _KEYS:
            raise LimitsError(path, f"{where}: {key[:60]!r} is not known here; there are {', '.join(_KEYS)}")
    ends = {"min": -math.inf, "max": math.inf}
    for key in ends:
        value = table.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise LimitsError(path, f"{where}: {key} = {str(value)[:60]!r} is not a finite number")
        ends[key] = float(value)
    if math.isinf(ends["min"]) and math.isinf(ends["max"]):
        raise LimitsError(path, f"{where} has neither min nor max; write one")
    if ends["min"] > ends["max"]:
        raise LimitsError(path, f"{where}: min is above max; nothing could pass")
    for key in ("unit", "why"):
        if not isinstance(table.get(key), str) or not table[key].strip():
            raise LimitsError(path, f'{where} has no {key}; write {key} = "..."')
    return Limit(name, ends["min"], ends["max"], table["unit"].strip(), " ".join(table["why"].split()))


def _finite(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:  # TOML's integers have no end, floats do
        return False


def _check_known(path: Path, limit: Limit, base: Mapping[str, Limit]) -> None:
    known = base.get(limit.name)
    if known is None:
        close = get_close_matches(limit.name, base, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(base)}"
        raise LimitsError(path, f"no measurement is called {limit.name[:60]!r}; {hint}")
    if limit.unit != known.unit:
        raise LimitsError(path, f"[{limit.name}]: unit is {limit.unit[:20]!r}, it is measured in {known.unit!r}")
