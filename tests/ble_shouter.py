"""For tests of scans: somebody on the virtual air who advertises whatever it is told. Needs bumble."""

from __future__ import annotations

import asyncio

from bumble import hci
from nexus_simulator.ble.controller import AirController
from nexus_simulator.ble.radio import Advertisement, Air


class Shouter:
    """Somebody who advertises whatever it is told, from whatever address."""

    def __init__(self, air: Air) -> None:
        self._air = air
        self._controller = AirController("shouter", air)
        self._timer: asyncio.TimerHandle | None = None

    def shout(self, number: int, data: bytes, response: bytes = b"") -> None:
        address = hci.Address(number.to_bytes(5, "little") + b"\xff", hci.Address.RANDOM_DEVICE_ADDRESS)
        pdu = Advertisement(advertiser_address=address, data=data, scan_response=response)  # type: ignore[call-arg]
        self._air.send_advertising_pdu(self._controller, pdu)

    def go_on(self, number: int, data: bytes, response: bytes = b"") -> None:
        """Ten times a second, until `close`."""
        self.shout(number, data, response)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(0.1, self.go_on, number, data, response)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._controller.remove()
