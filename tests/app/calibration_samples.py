"""Pictures of calibrations, made by hand: what a procedure would say, second by second."""

from __future__ import annotations

import math
from dataclasses import replace

from nexuslink.app.capture_log import CaptureLog
from nexuslink.app.changes import Change
from nexuslink.calibration.picture import CapturedPoint, Picture, Stage

NAN = math.nan
MASSES = (1.0, 2.0, 3.5, 5.0, 7.0)
RESIDUALS = (0.06, -0.11, 0.02, 0.14, -0.09)
U = (0.08, 0.09, 0.11, 0.14, 0.19)
RATE_HZ = 50
CHANGES = (
    Change("Broad tip, zero", "0.00 N", "+0.31 N", True),
    Change("Broad tip, gain", "100.00 %", "100.82 %", True),
    Change("Broad tip, curve at 60 N", "0.00 N", "−0.12 N"),
    Change("Uncertainty of the gain", "1.0 %", "0.2 %"),
)


def points(count: int, fitted: bool = False) -> tuple[CapturedPoint, ...]:
    made = []
    for mass, residual, u in list(zip(MASSES, RESIDUALS, U, strict=True))[:count]:
        expected = 9.81 * mass
        point = CapturedPoint(f"{mass:g} kg", expected + residual, expected, residual, u)
        made.append(point if fitted else replace(point, residual=NAN, u=NAN))
    return tuple(made)


WAITING = Picture(
    title="Weights on the broad tip", stage=Stage.WAITING, sentence="Put 3.5 kg on it.", step=2, steps=5,
    progress_of_step=0.0, reading=19.54, reading_u=0.06, unit="N", up=(0.18, 0.05, 0.98), points=points(2),
    verdict="", simulated=True,
)  # fmt: skip
SETTLING = replace(WAITING, stage=Stage.SETTLING, sentence="Let it come to rest.", reading=31.2)
CAPTURING = replace(
    WAITING, stage=Stage.CAPTURING, sentence="Hold still.", reading=34.36, progress_of_step=0.64, reading_u=0.05
)
DONE = replace(
    WAITING, stage=Stage.DONE, sentence="Take the weights off.", step=5, progress_of_step=1.0, reading=0.04,
    points=points(5, fitted=True), verdict="within 0.4 N up to 60 N",
)  # fmt: skip
REFUSED = replace(
    DONE, stage=Stage.REFUSED, verdict="",
    sentence="the 3.5 kg weight does not fit the others by 2.1 N: were two weights swapped, or is the unit wrong?",
    points=tuple(
        replace(p, residual=r) for p, r in zip(points(5, fitted=True), (0.1, -0.3, 2.1, -0.9, 0.4), strict=True)
    ),
)  # fmt: skip
POSES = replace(
    WAITING, title="Six poses", sentence="Lay it on its left side.", unit="m/s²", reading=9.812, reading_u=0.004,
    up=(0.02, -0.999, 0.03), step=3, steps=6,
    points=tuple(CapturedPoint(n, 9.8 + d, NAN, NAN, NAN) for n, d in (("upright", 0.01), ("upside down", -0.02),
                                                                       ("mark up", 0.03))),
)  # fmt: skip
TURNING = replace(
    WAITING, title="Turning", sentence="Turn it about its mark.", unit="°/s", reading=143.0, reading_u=1.2,
    up=(0.6, 0.3, -0.74), step=0, steps=0, points=(), stage=Stage.CAPTURING, progress_of_step=0.31,
)  # fmt: skip
CHECK_GOOD = replace(
    DONE, title="Check with a weight", sentence="49.31 N read, 49.05 N expected.", verdict="within its claim",
    points=points(4, fitted=True)[3:], steps=1, step=1,
)  # fmt: skip


def weights_log(until: Picture = CAPTURING, captured: int = 2) -> CaptureLog:
    """Steps of five seconds up to where ``until`` is, as a person would make them."""
    log = CaptureLog()
    t = 0.0

    def show(picture: Picture, seconds: float, path) -> None:
        nonlocal t
        for at in range(round(seconds * RATE_HZ)):
            share = at / (seconds * RATE_HZ)
            wobble = 0.03 * math.sin(17 * t) + 0.02 * math.sin(41 * t)
            log.take(round(t * 1e6), replace(picture, reading=path(share) + wobble, progress_of_step=share))
            t += 1 / RATE_HZ

    level = 0.0
    for at, mass in enumerate(MASSES[: captured + 1]):
        target = 9.81 * mass
        before = replace(WAITING, points=points(at), step=at)
        show(before, 2.0, lambda _s, level=level: level)
        show(
            replace(before, stage=Stage.SETTLING), 1.5,
            lambda s, level=level, target=target: (
                target + (level - target) * math.exp(-6 * s) + 3 * math.exp(-4 * s) * math.sin(20 * s)
            ),
        )  # fmt: skip
        if at == captured and until.stage is not Stage.CAPTURING:
            break
        share = until.progress_of_step if at == captured else 1.0
        show(replace(before, stage=Stage.CAPTURING), 3.0 * share, lambda _s, target=target: target)
        level = target
    log.take(round(t * 1e6), until)
    return log


def log_of(picture: Picture, seconds: float = 12.0) -> CaptureLog:
    """The same picture for some seconds."""
    log = CaptureLog()
    for at in range(round(seconds * RATE_HZ)):
        wave = 0.4 if picture.unit == "°/s" else 0.001
        log.take(round(at * 1e6 / RATE_HZ), replace(picture, reading=picture.reading * (1 + wave * math.sin(at / 23))))
    log.take(round(seconds * 1e6), picture)
    return log
