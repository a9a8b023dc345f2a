"""Whether a link that is being opened waits for a person who has to confirm a pairing, and what there is to compare."""

from __future__ import annotations

from collections.abc import Callable


class Pairing:
    """Of one link. ``watch()`` is called at each change."""

    def __init__(self) -> None:
        self.asked = False
        """Just now a person has to confirm it, or may have to."""
        self.number: int | None = None
        """The six digits to compare; ``None``: not known. No operating system tells them to a program: it shows them
        itself. The virtual radio does."""
        self.watch: Callable[[], None] = lambda: None

    def ask(self) -> None:
        """It begins."""
        self.asked, self.number = True, None
        self.watch()

    def show(self, number: int) -> None:
        """These are the six digits."""
        self.number = number
        self.watch()

    def over(self) -> None:
        """It has ended, one way or the other."""
        self.asked, self.number = False, None
