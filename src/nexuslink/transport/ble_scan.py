"""Listening for tools: a `Nearby` list that a radio fills while the context is entered.

Only advertisements with the service's UUID are asked for (macOS gives no others in the background, and everywhere it
saves work). Scanning is active: the serial number is in the scan response. BlueZ is asked to report duplicates, because
otherwise it says nothing about a tool whose signal stays within 8 dB, and silence would look like absence.

A radio that was switched off and on, or whose service was restarted, stays silent without a word until it is asked
again: a scan that hears nothing for `DEAF_S` is begun anew, by itself.

Starting to scan is never broken off: bleak would not stop what BlueZ has begun, and BlueZ would call every later scan
of this program busy. BlueZ also does so while it ends a connection, for 2 s: then the scan begins when it lets it.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from nexuslink.protocol.messages import NEXUS_SERVICE_UUID
from nexuslink.transport.ble_backends import Backends, ble_backends
from nexuslink.transport.ble_lifeline import Lifeline, patiently, seen_through, settled
from nexuslink.transport.ble_nearby import FORGET_S, Found, Nearby, NearbyCounts
from nexuslink.transport.ble_words import Step, ble_error, too_late
from nexuslink.transport.errors import LinkLostError, TransportError

if TYPE_CHECKING:
    from bleak import BleakScanner

START_TIMEOUT_S: Final = 10.0
"""Starting to scan: macOS asks the person for permission the first time."""
STOP_TIMEOUT_S: Final = 2.0
DEAF_S: Final = 3.0
"""A tool advertises several times a second. After so long without one either none is near, or the radio is deaf."""
RETRY_S: Final = 0.5
"""Until the next attempt at a radio that cannot scan, for example because it is off."""


class BleScan:
    """``async with BleScan() as scan``: `tools` is who is near, until the context ends. Raises `TransportError`.

    ``radio``: as in ``ble:?radio=``. ``backends``: of an owner who closes them; else they are opened and closed here.
    """

    def __init__(
        self,
        radio: str | None = None,
        *,
        backends: Backends | None = None,
        forget_s: float = FORGET_S,
        lifeline: Lifeline | None = None,
        name: str = "ble",
    ) -> None:
        self._nearby = Nearby(f"?radio={quote(radio, safe=':/.,@[]=')}" if radio else "", forget_s)
        self._radio, self._backends, self._owned = radio, backends, backends is None
        self._name = name
        self._lifeline = lifeline
        self._scanner: BleakScanner | None = None
        self._heard = asyncio.Event()
        self._heard_s = 0.0
        self._staying_awake: asyncio.Task[None] | None = None
        self.trouble: TransportError | None = None
        """Why nothing can be heard now, as far as it is known; it is tried again all the time."""
        self.restarts = 0
        """Times that the radio was asked anew, because nothing was heard."""

    @property
    def counts(self) -> NearbyCounts:
        """What has been heard, and what was not used of it."""
        return self._nearby.counts

    def tools(self) -> list[Found]:
        """Who is near now; the order stays."""
        return self._nearby.tools(asyncio.get_running_loop().time())

    def sort(self) -> None:
        """The strongest first, from now on."""
        self._nearby.sort()

    async def find(self, wanted: Callable[[Found], bool], seconds: float) -> Found | None:
        """The first tool for which ``wanted`` is true; ``None``: not one in that time. Raises when cut."""
        lifeline = self._lifeline or Lifeline()
        try:
            return await lifeline.hold(self._find(wanted), seconds)
        except TimeoutError:
            return None

    async def _find(self, wanted: Callable[[Found], bool]) -> Found:
        while True:
            for found in self.tools():
                if wanted(found):
                    return found
            self._heard.clear()
            await self._heard.wait()

    # -- the radio ------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> BleScan:
        if self._backends is None:
            self._backends = ble_backends(self._radio)
        try:
            await patiently(functools.partial(self._start, self._backends))
        except BaseException:
            await self._stop()
            raise
        self._staying_awake = asyncio.create_task(self._stay_awake(self._backends), name="nexuslink scan")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def _stay_awake(self, backends: Backends) -> None:
        """Begin anew whenever nothing is heard."""
        loop = asyncio.get_running_loop()
        while True:
            wait_s = RETRY_S if self.trouble is not None else self._heard_s + DEAF_S - loop.time()
            if wait_s > 0.0:
                await asyncio.sleep(wait_s)
                if self.trouble is None:
                    continue
            self.restarts += 1
            await self._stop_scanner()
            try:
                await patiently(functools.partial(self._start, backends))
                self.trouble = None
            except LinkLostError:  # whoever scans has been told to stop
                return
            except TransportError as error:
                self.trouble = error

    async def _start(self, backends: Backends) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        lifeline = self._lifeline or Lifeline()
        try:
            from bleak import BleakScanner  # dear to import, and absent radios show here on some systems

            scanner = BleakScanner(
                self._advertised, [NEXUS_SERVICE_UUID], bluez={"filters": {"DuplicateData": True}}, **backends.scanner
            )
            self._scanner = scanner
            await lifeline.hold(seen_through(scanner.start(), STOP_TIMEOUT_S), START_TIMEOUT_S)
        except TimeoutError:
            raise too_late(self._name, Step.SCAN, START_TIMEOUT_S) from None
        except TransportError:
            raise
        except Exception as error:  # every system has its own
            raise ble_error(self._name, Step.SCAN, error) from None

    async def _stop(self) -> None:
        """Always gets to its end: a radio that has gone cannot be told to stop."""
        watching, self._staying_awake = self._staying_awake, None
        if watching is not None:
            watching.cancel()
            await asyncio.wait((watching,), timeout=STOP_TIMEOUT_S)
        await self._stop_scanner()
        if self._owned and self._backends is not None:
            backends, self._backends = self._backends, None
            await settled(backends.close(), STOP_TIMEOUT_S)

    async def _stop_scanner(self) -> None:
        if self._scanner is not None:
            await settled(self._scanner.stop(), STOP_TIMEOUT_S)
            self._scanner = None  # only now: whoever is cancelled meanwhile leaves it to `_stop`

    def _advertised(self, device: Any, advertisement: Any) -> None:
        self._heard_s = asyncio.get_running_loop().time()
        self._nearby.heard(device, advertisement, self._heard_s)
        self._heard.set()


async def ble_tools(seconds: float, radio: str | None = None) -> list[Found]:
    """Who is near: listen for so long, the strongest first. Raises `TransportError`."""
    async with BleScan(radio) as scan:
        await asyncio.sleep(seconds)
        scan.sort()
        return scan.tools()
