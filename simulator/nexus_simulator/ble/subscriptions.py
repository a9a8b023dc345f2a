"""What each bonded host has subscribed to, kept from one connection to the next.

The specification asks for that (Core, vol. 3, part G, 3.3.3.3): a bonded host may reconnect and subscribe to nothing,
and still be told. Kept beside the bonds, in memory or in their file. It knows handles and names, and no connection.
"""

from __future__ import annotations

import json
from pathlib import Path

Values = dict[int, bytes]
"""Handle of a characteristic -> its client configuration."""


class Subscriptions:
    """Of all bonded hosts of one tool. ``keys``: the file of its bonds, in which this has a section of its own."""

    def __init__(self, keys: Path | None, serial_number: str) -> None:
        self._keys = keys
        self._section = f"{serial_number} subscriptions"
        self._hosts: dict[str, Values] = {}
        for host, values in self._file().get(self._section, {}).items():
            self._hosts[host] = {int(handle): bytes.fromhex(value) for handle, value in values.items()}

    def of(self, host: str) -> Values:
        """What it had when it was here last."""
        return dict(self._hosts.get(host, {}))

    def keep(self, host: str, handle: int, value: bytes) -> None:
        """It has subscribed, or taken that back."""
        self._hosts.setdefault(host, {})[handle] = value
        self._save()

    def forget(self, host: str | None = None) -> None:
        """Of one host, or of all."""
        for name in [host] if host is not None else list(self._hosts):
            self._hosts.pop(name, None)
        self._save()

    def _file(self) -> dict[str, dict[str, dict[str, str]]]:
        if self._keys is None or not self._keys.exists():
            return {}
        read: dict[str, dict[str, dict[str, str]]] = json.loads(self._keys.read_text("utf-8"))
        return read

    def _save(self) -> None:
        if self._keys is None:
            return
        section = {host: {str(h): v.hex() for h, v in values.items()} for host, values in self._hosts.items()}
        beside = self._keys.with_suffix(".new")
        beside.write_text(json.dumps({**self._file(), self._section: section}, sort_keys=True, indent=4), "utf-8")
        beside.replace(self._keys)
