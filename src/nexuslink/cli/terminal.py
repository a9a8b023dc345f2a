"""The guided hold without a window: live bars, the same engine, the same words."""

from __future__ import annotations

import math
import shutil
from typing import Final, TextIO

from nexuslink.live.pipeline import LiveUpdate, Snapshot
from nexuslink.live.session import SessionResult
from nexuslink.release.coach import Tone, advise
from nexuslink.release.hold import Phase
from nexuslink.release.plans import Plan

PAINT_EVERY_US: Final = 100_000
"""Device time between two paints; a cue that changes is painted at once."""
LINE_EVERY_US: Final = 5_000_000
"""Device time between two lines where the output is a file."""
MAX_BAR: Final = 60
SILENT: Final = "silent"
"""The coach's cue for a tool from which nothing comes."""
LOST: Final = "Tool lost. Reconnecting."

_COLOUR: Final = {Tone.CALM: "0", Tone.GOOD: "32", Tone.WARN: "33", Tone.STOP: "31", Tone.FAULT: "35"}
"""SGR codes; the words say the same without colour."""


def _bar(value: float, low: float, high: float, limit: float, width: int) -> str:
    """``value`` on a scale from 0 to ``limit``, the band from ``low`` to ``high`` shaded."""
    at = -1 if math.isnan(value) else min(width - 1, max(0, int(value / limit * width)))
    band = range(int(low / limit * width), max(int(high / limit * width), 1) + 1)
    return "".join("█" if i == at else "▒" if i in band else "·" for i in range(width))


def _clock(seconds: float) -> str:
    whole = max(0, math.ceil(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


class TerminalView:
    """Writes to ``out``: a painted block on a terminal, a line now and then in a file.

    ``kept``: a tool that is lost is being brought back, and the words say so.
    """

    def __init__(self, out: TextIO, plan: Plan, kept: bool = False) -> None:
        self._out = out
        self._plan = plan
        self._kept = kept
        self._live = out.isatty()
        self._height = 0
        self._painted_us = -(10**12)
        self._cue = ""

    def show(self, update: LiveUpdate) -> None:
        """Paint if it is time to."""
        snapshot = update.snapshot
        changed = snapshot.cue.key != self._cue
        every = PAINT_EVERY_US if self._live else LINE_EVERY_US
        silent = snapshot.cue.tone is Tone.FAULT and self._live  # device time stands still; the words do not
        if not changed and not silent and snapshot.t_us - self._painted_us < every:
            return
        self._cue, self._painted_us = snapshot.cue.key, snapshot.t_us
        if self._live:
            self._paint(self._block(snapshot))
        else:
            self._out.write(self._line(snapshot) + "\n")
        self._out.flush()

    def end(self, result: SessionResult) -> None:
        """The last words."""
        summary, s = result.summary, result.snapshot
        last = advise(self._plan, s.hold, s.force_n, s.tip_angle_deg, s.tip_direction_deg)  # a cue may have outstayed
        self._out.write(
            f"\n{last.sentence} Held {summary.held_s:.0f} of {summary.hold_s:.0f} s, "
            f"{summary.in_band_fraction:.0%} of the time in band.\n"
        )
        if result.session_file is not None:
            self._out.write(f"Recorded in {result.session_file}\n")
        self._out.flush()

    def _sentence(self, s: Snapshot) -> str:
        return LOST if self._kept and s.cue.key == SILENT else s.cue.sentence

    def _line(self, s: Snapshot) -> str:
        simulated = " [SIMULATED]" if s.simulated else ""
        return (
            f"{s.recording_s:6.1f} s  {self._sentence(s):26} {s.force_n:6.1f} N  {s.tip_angle_deg:5.1f}°  "
            f"held {s.hold.held_s:5.1f} of {s.hold.hold_s:.0f} s{simulated}"
        )

    def _block(self, s: Snapshot) -> list[str]:
        plan, link = self._plan, s.link
        width = max(10, min(MAX_BAR, shutil.get_terminal_size().columns - 34))
        left = s.hold.hold_s - s.hold.held_s
        battery = "" if link.battery_percent is None else f"  battery {link.battery_percent} %"
        latency = "" if math.isnan(link.latency_ms) else f"  {link.latency_ms:.0f} ms"
        rate = "" if math.isnan(link.force_rate_hz) else f"{link.force_rate_hz:.0f} samples/s  "
        lean_top = max(40.0, plan.angle_high_deg * 1.5)
        ended = s.hold.phase in (Phase.DONE, Phase.STOPPED)
        return [
            f"{plan.title}, {plan.tip_name}{'   [SIMULATED]' if s.simulated else ''}",
            "",
            f"\x1b[1;{_COLOUR[s.cue.tone]}m{self._sentence(s)}\x1b[0m",
            f"{s.cue.detail}",
            "",
            f"force {_bar(s.force_n, plan.band_low_n, plan.band_high_n, plan.stop_n, width)} {s.force_n:5.1f} N"
            f" of {plan.band_low_n:.0f} to {plan.band_high_n:.0f}",
            f"lean  {_bar(s.tip_angle_deg, plan.angle_low_deg, plan.angle_high_deg, lean_top, width)}"
            f" {s.tip_angle_deg:5.1f} ° of {plan.angle_low_deg:.0f} to {plan.angle_high_deg:.0f}",
            f"time  {_bar(s.hold.held_s, 0, s.hold.held_s, s.hold.hold_s, width)} "
            + ("ended" if ended else f"{_clock(left)} to go"),
            "",
            f"{rate}loss {link.loss_fraction:.1%}{latency}{battery}  recording {_clock(s.recording_s)}   Ctrl-C stops",
        ]

    def _paint(self, lines: list[str]) -> None:
        columns = shutil.get_terminal_size().columns
        up = f"\x1b[{self._height}A" if self._height else ""
        styled = (line if "\x1b" in line else line[: columns - 1] for line in lines)
        self._out.write(up + "".join(f"\r\x1b[2K{line}\n" for line in styled))
        self._height = len(lines)
