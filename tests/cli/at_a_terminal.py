"""A command at a terminal, and somebody who types."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Sequence

PROGRAM = [sys.executable, "-m", "nexuslink.cli.main"]


def painted(words: Sequence[str], status: int = 0, typing: Sequence[tuple[bytes, bytes]] = ()) -> str:
    """All that ``words`` paint, up to their end with this exit status. ``typing``: once this is seen, that is typed."""
    ours, theirs = pty.openpty()
    waiting, text, seen = list(typing), b"", b""
    with subprocess.Popen([*PROGRAM, *words], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        while select.select([ours], [], [], 60)[0]:
            try:
                new = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            text, seen = text + new, seen + new
            if waiting and waiting[0][0] in seen:
                os.write(ours, waiting.pop(0)[1])
                seen = b""
        assert process.wait(30) == status
    os.close(ours)
    assert not waiting
    return text.decode()
