"""What a person sees while something installs, and child processes that cannot hang for ever. Knows no layer."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

_TTY_PERIOD_S = 0.5
_PLAIN_PERIOD_S = 15.0
_WIDTH = 100


class Progress:
    """Steps, with their number, what goes on in them, and seconds. On stderr: stdout belongs to the program."""

    def __init__(self, steps: int, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._tty = self._stream.isatty()
        self._steps, self._step = steps, 0
        self._text = self._detail = ""
        self._start = self._shown = time.monotonic()

    def step(self, text: str) -> None:
        """Begin the next step."""
        self._step += 1
        self._text, self._detail = text, ""
        self._start = time.monotonic()
        self._write(plain_too=True)

    def detail(self, text: str) -> None:
        """Say what the step is at; shown with the next tick."""
        self._detail = text.strip()

    def tick(self) -> None:
        """Show the seconds going by: on a terminal twice a second, in a log four times a minute."""
        if time.monotonic() - self._shown >= (_TTY_PERIOD_S if self._tty else _PLAIN_PERIOD_S):
            self._write(plain_too=True)

    def done(self, text: str = "") -> None:
        """End the step."""
        self._detail = text or "done"
        self._write(plain_too=True)
        if self._tty:
            self._stream.write("\n")
            self._stream.flush()

    def _write(self, plain_too: bool) -> None:
        self._shown = time.monotonic()
        seconds = self._shown - self._start
        line = f"[{self._step}/{self._steps}] {self._text}"
        if self._detail:
            line += f"  {seconds:.0f} s  {self._detail}" if self._detail != "done" else f"  {seconds:.1f} s"
        if self._tty:
            self._stream.write(f"\r\033[K{line[:_WIDTH]}")
        elif plain_too:
            self._stream.write(line + "\n")
        self._stream.flush()


def run_bounded(
    command: Sequence[str],
    *,
    limit_s: float,
    on_line: Callable[[str], None],
    on_wait: Callable[[], None] = lambda: None,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    keep_open: Sequence[int] = (),
) -> int:
    """Run a command, hand over its output line by line, end it after ``limit_s``. Returns its exit status.

    ``keep_open`` are file descriptors that the child inherits: a lock held through one stays held until the child has
    ended too, even when this process is killed.
    """
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=None if env is None else dict(env),
        cwd=cwd,
        pass_fds=tuple(keep_open) if sys.platform != "win32" else (),
    )
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_pump, args=(process, lines), daemon=True).start()
    deadline = time.monotonic() + limit_s
    try:
        while time.monotonic() < deadline:
            try:
                line = lines.get(timeout=_TTY_PERIOD_S)
            except queue.Empty:
                on_wait()
                continue
            if line is None:
                return process.wait(timeout=max(1.0, deadline - time.monotonic()))
            on_line(line.rstrip("\n"))
            on_wait()
        on_line(f"ended: no result within {limit_s:.0f} s")
        return 1
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _pump(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)
