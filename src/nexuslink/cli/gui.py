"""``gui``: open the window."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from nexuslink.cli.errors import UsageError


def run(args: argparse.Namespace) -> int:
    """Import Qt only now, and say it plainly where that is not possible."""
    try:
        from nexuslink.app.main import run as open_window
    except ImportError as error:
        raise UsageError(f"the window cannot be opened ({error}); `nexuslink doctor` says what is missing") from None
    if args.site is not None:
        from nexuslink.release.plans import load_plan

        load_plan(args.site)  # a name with a typo is said here, not in a window
    folder = os.environ.get("NEXUSLINK_SESSIONS")  # without it the app asks for the user's data folder when it records
    return open_window(
        device_url=args.device, site=args.site, theme=args.theme, autostart=args.demo,
        recording_dir=Path(folder) if folder else None,
    )  # fmt: skip
