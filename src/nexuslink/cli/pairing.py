"""On the command line: whoever has to confirm a pairing is told so, beside the output."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nexuslink.cli.output import whisper

if TYPE_CHECKING:
    from nexuslink.device.progress import Progress


def tell_pairing() -> Callable[[Progress], None]:
    """For ``watch=`` of one connection: each thing to say of a pairing is said once."""
    said = ""

    def told(progress: Progress) -> None:
        nonlocal said
        if progress.state == "pairing" and progress.sentence != said:
            said = progress.sentence
            whisper(f"nexuslink: {said}")

    return told
