"""The errors of this room, each one line: where, what is wrong, what to do.

Only plans can be wrong here: samples never raise, whatever they hold.
"""

from __future__ import annotations

_LONGEST = 160


def one_line(text: object) -> str:
    """Text from a hostile file, made fit for one line of an error message."""
    line = "".join(c if c.isprintable() else " " for c in str(text)).strip()
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


class PlanError(ValueError):
    """A plan that cannot be used."""

    def __init__(self, where: str, what: str, remedy: str) -> None:
        self.where, self.what, self.remedy = one_line(where), one_line(what), one_line(remedy)
        super().__init__(f"{self.where}: {self.what}; {self.remedy}")
