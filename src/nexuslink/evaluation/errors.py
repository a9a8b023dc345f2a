"""What evaluation cannot work with: a folder, a recording, a list of sensors, a bench."""

from __future__ import annotations


class EvaluationError(ValueError):
    """One line: where, what is wrong, what to do."""

    def __init__(self, where: object, what: str, remedy: str) -> None:
        super().__init__(" ".join(f"{where}: {what}; {remedy}".split()))
