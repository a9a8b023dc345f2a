"""The tool as it stands or lies right now, from the measured direction of up in its own frame.

A small solid of rings, shaded and painted back to front; the mark on the base is the only colour. Where it points
about the vertical is not known: upright the picture turns it the shortest way, lying its tips point to the eye.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetricsF, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from nexuslink.app.instruments.base import Instrument, blend
from nexuslink.app.theme import RADIUS, Type, colour, font

Array = NDArray[np.float64]

UNKNOWN: Final = "Position unknown"
_MOVED: Final = math.sin(math.radians(0.7))
_AROUND: Final = 24  # corners of a ring
_SHADES: Final = 48
_ELEVATION: Final = math.radians(16.0)  # from where it is seen
_YAW: Final = math.radians(-24.0)
_AIM: Final = math.radians(-40.0)  # where the tips of a lying tool point, from the right of the picture
_LIGHT: Final = np.array([-0.45, -0.55, 0.70]) / np.linalg.norm([-0.45, -0.55, 0.70])
_MIDDLE: Final = np.array([0.0, 0.0, 0.5])  # the tool turns about this point of its own
_REACH: Final = 1.42  # the farthest corner from it
_BASE: Final = ((-0.02, 0.90, 0.57), (0.06, 1.0, 0.64), (0.28, 0.98, 0.62), (0.44, 0.70, 0.44))
"""Height, half length, half width of each ring."""
_TIPS: Final = (
    ((-0.34, 0.0, 0.42), (0.0, 0.0, 1.0), ((0.0, 0.34), (0.66, 0.28), (0.80, 0.20), (0.86, 0.08))),
    ((0.40, 0.0, 0.40), (0.57, 0.0, 0.82), ((0.0, 0.26), (0.35, 0.17), (0.80, 0.12), (0.90, 0.04))),
)
"""Foot, direction, (distance, radius) of each ring: the broad tip, and the narrow one that leans to the mark."""
_MARK: Final = (
    ((1.015, -0.16, 0.30), (1.015, 0.16, 0.30), (1.035, 0.0, 0.10)),
    ((0.80, -0.13, 0.465), (0.80, 0.13, 0.465), (0.98, 0.0, 0.42)),
)
"""Corners of the mark, on the end and on the top of the base."""


class Solid(NamedTuple):
    """Flat pieces in the tool's frame, x to the mark, z out of the base: corners (n, 4, 3), normals (n, 3) outward.

    The last ``marks`` of them are the mark.
    """

    corners: Array
    normals: Array
    marks: int


class TurningTool(Instrument):
    """Feed it ``up``, a unit vector in the tool's frame, or None. With a caption it is one pose to be shown."""

    def __init__(self, parent: QWidget | None = None, caption: str = "") -> None:
        super().__init__(caption or "The tool now", parent)
        self._caption = caption
        self._up: Array | None = None
        self._inks: dict[tuple[int, bool, bool], tuple[QPen, QBrush]] = {}

    @property
    def up(self) -> Array | None:
        """What is shown."""
        return self._up

    def feed(self, up: tuple[float, float, float] | None) -> None:
        """Turn the tool; nothing happens for less than can be seen."""
        given = None if up is None or not all(map(math.isfinite, up)) else np.array(up, np.float64)
        if given is not None:
            length = float(np.linalg.norm(given))
            given = given / length if length > 0 else None
        if given is None or self._up is None:
            changed = given is not self._up
        else:
            changed = float(np.abs(given - self._up).max()) > _MOVED
        if changed:
            self._up = given
            self.say(UNKNOWN if given is None else f"{lean_deg(given):.0f}° from upright")
            self.update()

    def draw(self, painter: QPainter) -> None:
        """Panel, shadow, faces from the farthest to the nearest, words."""
        tokens, unit = self.tokens, self.unit
        box = QRectF(self.rect())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour(tokens.panel))
        painter.drawRoundedRect(box, self.px(RADIUS), self.px(RADIUS))
        known = self._up is not None
        turn = attitude(self._up if self._up is not None else np.array([0.0, 0.0, 1.0]))
        view = _camera() @ turn
        room = 1.22 * min(box.width() * 0.62, box.height() - 24 * unit)
        scale = 0.5 * room / _REACH
        middle = QPointF(box.center().x(), box.center().y() - 10 * unit)
        words = QFontMetricsF(font(self.type_px(Type.SMALL))).horizontalAdvance(self._caption) if self._caption else 0.0
        if 0 < words < 0.45 * box.width() and box.height() < 0.7 * box.width():  # beside its words
            middle = QPointF(box.left() + 0.70 * box.width(), box.center().y())
        solid = _solid()
        lowest = float(((solid.corners.reshape(-1, 3) - _MIDDLE) @ turn[2]).min())
        self._draw_floor(painter, middle, scale, lowest)
        outward = solid.normals @ turn.T
        front = np.flatnonzero(solid.normals @ view[1] < 0)  # y looks away from the eye
        points = (solid.corners[front] - _MIDDLE) @ view.T
        depth = points[:, :, 1].mean(axis=1) - 0.2 * (front >= len(solid.normals) - solid.marks)
        light = np.clip(outward @ _LIGHT, 0.0, 1.0) * 0.75 + 0.125 * (1.0 + outward[:, 2])
        xs = (middle.x() + scale * points[:, :, 0]).tolist()
        ys = (middle.y() - scale * points[:, :, 2]).tolist()
        for at in np.argsort(-depth).tolist():
            piece = int(front[at])
            pen, brush = self._ink(int(light[piece] * _SHADES), piece >= len(solid.normals) - solid.marks, known)
            painter.setPen(pen)
            painter.setBrush(brush)
            painter.drawPolygon([QPointF(x, y) for x, y in zip(xs[at], ys[at], strict=True)])
        painter.setFont(font(self.type_px(Type.SMALL)))
        painter.setPen(colour(tokens.mute))
        now = f"{lean_deg(self._up):.0f}° from upright" if self._up is not None else UNKNOWN
        row = QRectF(16 * unit, box.bottom() - 32 * unit, box.width() - 32 * unit, 24 * unit)
        painter.drawText(row, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self._caption or now)
        if self._caption:
            return
        painter.drawText(row, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, "mark")
        width = painter.fontMetrics().horizontalAdvance("mark")
        x, y, side = row.right() - width - 12 * unit, row.center().y() + unit, 7 * unit
        painter.setBrush(colour(tokens.in_ if known else tokens.line))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawPolygon(
            QPolygonF([QPointF(x, y), QPointF(x - 1.7 * side, y - side), QPointF(x - 1.7 * side, y + side)])
        )

    def _draw_floor(self, painter: QPainter, middle: QPointF, scale: float, lowest: float) -> None:
        """A soft ellipse where the tool stands or lies."""
        y = middle.y() - lowest * scale * math.cos(_ELEVATION)
        wide = 1.15 * scale
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(blend(self.tokens.panel, self.tokens.raised, 0.9))
        painter.drawEllipse(QPointF(middle.x(), y), wide, wide * math.sin(_ELEVATION) * 1.1)

    def dressed(self) -> None:
        """Other colours."""
        self._inks.clear()

    def _ink(self, step: int, is_mark: bool, known: bool) -> tuple[QPen, QBrush]:
        """Of one of few shades; making colours anew for each piece would cost more than painting it."""
        key = step, is_mark, known
        if key not in self._inks:
            shade = self._shade(step / _SHADES, is_mark, known)
            self._inks[key] = QPen(shade), QBrush(shade)
        return self._inks[key]

    def _shade(self, light: float, is_mark: bool, known: bool) -> QColor:
        tokens = self.tokens
        dark, bright = sorted((tokens.mute, tokens.raised), key=lambda token: colour(token).lightnessF())
        share = (0.10 if not known else 0.22) + (0.25 if not known else 0.68) * light
        if is_mark and known:
            return blend(tokens.in_soft, tokens.in_, 0.55 + 0.45 * light)
        return blend(dark, bright, min(1.0, share))


def lean_deg(up: Array) -> float:
    """Degrees between the base's own z and up."""
    return math.degrees(math.acos(min(1.0, max(-1.0, float(up[2])))))


def attitude(up: Array) -> Array:
    """(3, 3) from the tool's frame to the room's: ``up`` (3,) becomes z.

    About z the turn is free. Near upright and near upside down it is the shortest way from there, so that nothing
    spins; between 50 and 130 degrees of lean the tips point to ``_AIM``; in between it goes over smoothly.
    """
    over = np.diag([1.0, -1.0, -1.0]) if up[2] < 0 else np.eye(3)
    turn = _shortest(over @ up) @ over
    lean = lean_deg(up)
    share = min(1.0, max(0.0, (min(lean, 180.0 - lean) - 20.0) / 30.0))
    if share > 0:
        heading = math.atan2(turn[1, 2], turn[0, 2])
        left = share * share * (3 - 2 * share) * math.remainder(_AIM - heading, 2 * math.pi)
        c, s = math.cos(left), math.sin(left)
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ turn
    return np.asarray(turn)


def _shortest(up: Array) -> Array:
    """(3, 3): the smallest turn that brings ``up``, not below the horizon, to z."""
    x, y, z = up.tolist()
    k = 1.0 / (1.0 + z)
    return np.array([[1 - k * x * x, -k * x * y, -x], [-k * x * y, 1 - k * y * y, -y], [x, y, z]])


@lru_cache(maxsize=1)
def _camera() -> Array:
    """World to eye: x right, y away from the eye, z up."""
    c, s = math.cos(_YAW), math.sin(_YAW)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    c, s = math.cos(_ELEVATION), math.sin(_ELEVATION)
    tilt = np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])
    return np.asarray(tilt @ turn)


@lru_cache(maxsize=1)
def _solid() -> Solid:
    turn = np.arange(_AROUND) * (2 * math.pi / _AROUND)
    cos, sin = np.cos(turn), np.sin(turn)
    skins = [_loft([np.stack((a * _squared(cos), b * _squared(sin), np.full(_AROUND, z)), 1) for z, a, b in _BASE])]
    for foot, direction, profile in _TIPS:
        along = np.array(direction) / np.linalg.norm(direction)
        side = np.array([along[2], 0.0, -along[0]])
        around = cos[:, None] * side + sin[:, None] * np.cross(along, side)
        skins.append(_loft([np.array(foot) + along * far + radius * around for far, radius in profile]))
    corners, normals = (np.concatenate(parts) for parts in zip(*skins, strict=True))
    marks = np.array(_MARK)
    return Solid(
        np.concatenate((corners, marks[:, (0, 1, 2, 2)])),
        np.concatenate((normals, [[1.0, 0.0, 0.0], [0.3, 0.0, 0.95]])),
        len(marks),
    )


def _squared(wave: Array) -> Array:
    """A circle's coordinate made a little squarer."""
    return np.asarray(np.sign(wave) * np.abs(wave) ** 0.75)


def _loft(rings: list[Array]) -> tuple[Array, Array]:
    """A closed skin over rings (_AROUND, 3) that follow each other outward: corners (n, 4, 3), normals (n, 3)."""
    centre = np.mean([ring.mean(axis=0) for ring in rings], axis=0)
    walls = [np.stack((low, np.roll(low, -1, 0), np.roll(high, -1, 0), high), 1) for low, high in pairwise(rings)]
    half = _AROUND // 2
    lids = []
    for ring in (rings[0], rings[-1]):  # strips across
        at = np.arange(half)
        lids.append(np.stack((ring[at], ring[at + 1], ring[-1 - at], ring[-at]), 1))
    corners = np.concatenate((*walls, *lids))
    normals = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    inward = ((corners.mean(axis=1) - centre) * normals).sum(axis=1) < 0
    normals[inward] *= -1
    return corners, normals
