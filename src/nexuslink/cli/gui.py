"""``gui``: open the window."""

from __future__ import annotations

import argparse

from nexuslink.cli.errors import UsageError


def run(args: argparse.Namespace) -> int:
    """Import Qt only now, and say it plainly where that is not possible."""
    try:
        from nexuslink.app import main as app
    except ImportError as error:
        raise UsageError(f"the window cannot be opened ({error}); `nexuslink doctor` says what is missing") from None
    return app.run(device_url=args.device, site=args.site, theme=args.theme, autostart=args.demo)
