"""What a calibration has read during the last moments, and when each point was captured: for drawing.

Written on the loop's thread, read on Qt's, without a lock: the readings are a `Ring`, everything else is replaced
whole. It must never know a widget, and never judges a reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from nexuslink.app.ring import Ring

if TYPE_CHECKING:
    from nexuslink.calibration.picture import Picture

ROWS: Final = 1 << 14  # half of it is readable: 80 s at 100 pictures a second, and the trace shows 30


class Mark(NamedTuple):
    """One captured point: when it was at rest, and what was read."""

    begin_us: int
    end_us: int
    name: str
    value: float


class CaptureLog:
    """One procedure, from its beginning. Column of ``ring``: the reading in the procedure's unit."""

    def __init__(self) -> None:
        self.ring = Ring(ROWS, 1)
        self.marks: tuple[Mark, ...] = ()
        self.picture: Picture | None = None
        self._since_us: int | None = None

    @property
    def capturing_since_us(self) -> int | None:
        """When the capture under way began."""
        return self._since_us

    def take(self, t_us: int, picture: Picture) -> None:
        """Keep a new picture; ``t_us`` is the link's clock when it came."""
        from nexuslink.calibration.picture import Stage

        self.ring.append(np.array([t_us], np.int64), np.array([[picture.reading]]))
        known = len(self.marks)
        if len(picture.points) < known:  # undone
            self.marks = self.marks[: len(picture.points)]
        elif len(picture.points) > known:
            begin_us = t_us if self._since_us is None else self._since_us
            fresh = tuple(Mark(begin_us, t_us, point.name, point.measured) for point in picture.points[known:])
            self.marks += fresh
            self._since_us = None
        if picture.stage is not Stage.CAPTURING:
            self._since_us = None
        elif self._since_us is None:
            self._since_us = t_us
        self.picture = picture
