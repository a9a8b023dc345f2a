"""The tool that BLE tests have at the other end: in this process, or outside the guest of ``./run bluez``."""

from __future__ import annotations

import os

if os.environ.get("NEXUS_BLUEZ"):
    from remote import OPEN, Method, RawTool, RemoteAir, Security, new_air, url_of

    Air = RemoteAir
else:
    from ble_peer import OPEN, RawTool, new_air
    from nexus_simulator.ble.pairing import Method, Security
    from nexus_simulator.ble.radio import Air

    def url_of(where: Air, target: str, **params: str) -> str:
        """Address of a tool on that air."""
        query = "&".join(f"{name}={value}" for name, value in {"radio": f"bumble:air:{where.name}", **params}.items())
        return f"ble:{target}?{query}"


__all__ = ["OPEN", "Air", "Method", "RawTool", "Security", "new_air", "url_of"]
