"""bleak on a virtual radio: the classes that BleakScanner and BleakClient take as ``backend=``.

Everything is bounded, and what an operating system does by itself (MTU exchange, encryption with a bond) is done here.
Entry point ``nexuslink.ble_radios``: `open_radio`. It knows nothing of tools.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from bleak.args import SizedBuffer
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient, NotifyCallback
from bleak.backends.descriptor import BleakGATTDescriptor
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, AdvertisementDataCallback, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakError,
    BleakGATTProtocolError,
)
from bleak.uuids import normalize_uuid_16

try:
    from bumble import att, core, gatt_client, hci
    from bumble.device import Connection
except ImportError:
    raise ImportError("a virtual radio needs bumble: pip install nexuslink[virtual-ble]") from None

from nexus_simulator.ble.adapter import Adapter, AdapterError, Address, Agent, acquire, release

logging.getLogger("bumble").addHandler(logging.NullHandler())  # what it warns of comes as an error as well
MTU = 517
"""What the host offers, as BlueZ does; the tool says how much less."""
OPERATION_S = 10.0
"""Longest wait for one answer. bleak itself has no limit."""
PAIRING_S = 30.0
END_S = 2.0
SEEN_MAX = 256
"""Devices that a scan remembers; the oldest are forgotten."""
WAITING_MAX = 16
"""Packets that may wait before a write without response has to."""
CCCD = normalize_uuid_16(0x2902)
T = TypeVar("T")
PROPERTIES = (
    "broadcast",
    "read",
    "write-without-response",
    "write",
    "notify",
    "indicate",
    "authenticated-signed-writes",
    "extended-properties",
)


class Radio:
    """What `open_radio` gives: classes and arguments for bleak, and `close` when they are no longer used."""

    def __init__(self, address: str) -> None:
        self._address = Address.parse(address)
        self._adapter: Adapter | None = None
        self.scanner_backend = BumbleScanner
        self.client_backend = BumbleClient
        self.scanner_kwargs: dict[str, Any] = {"radio": self}
        self.client_kwargs: dict[str, Any] = {"radio": self}

    @property
    def adapter(self) -> Adapter:
        """The adapter, in the running event loop."""
        if self._adapter is None:
            self._adapter = acquire(self._address)
        return self._adapter

    @property
    def agent(self) -> Agent:
        """The person at this host, while pairing."""
        return self.adapter.agent

    def watch_digits(self, told: Callable[[int], None]) -> None:
        """``told(number)``: the six digits that the person is to compare."""
        self.agent.told = told

    async def close(self) -> None:
        """Give the adapter back; the last one ends its connections."""
        adapter, self._adapter = self._adapter, None
        if adapter is not None:
            await release(adapter)


def open_radio(address: str) -> Radio:
    """A radio from its address: ``air:NAME`` or what bumble calls a transport; ValueError with one line."""
    return Radio(address)


def _unavailable(error: AdapterError) -> BleakError:
    reasons = BleakBluetoothNotAvailableReason
    if error.off:
        return BleakBluetoothNotAvailableError(str(error), reasons.POWERED_OFF)
    return BleakBluetoothNotAvailableError(f"no virtual radio at {error}", reasons.NO_BLUETOOTH)


# ---- scanning -------------------------------------------------------------------------------------------------------
def _uuid(data: bytes) -> str:
    if len(data) == 2:
        return normalize_uuid_16(int.from_bytes(data, "little"))
    return str(core.UUID.from_bytes(data)).lower()


def advertisement_of(data: bytes, rssi: int) -> AdvertisementData:
    """What the bytes say, as far as they say anything: nobody checks what a device advertises."""
    name: str | None = None
    services: list[str] = []
    service_data: dict[str, bytes] = {}
    makers: dict[int, bytes] = {}
    power: int | None = None
    place = 0
    while place < len(data) and data[place]:
        part = data[place + 1 : place + 1 + data[place]]
        place += 1 + data[place]
        kind, body = part[:1], part[1:]
        size = {b"\x02": 2, b"\x03": 2, b"\x06": 16, b"\x07": 16, b"\x16": 2, b"\x21": 16}.get(kind, 0)
        if kind in (b"\x08", b"\x09"):
            name = body.decode("utf-8", "replace")
        elif kind in (b"\x16", b"\x21") and len(body) >= size:
            service_data[_uuid(body[:size])] = body[size:]
        elif size:
            services += [_uuid(body[i : i + size]) for i in range(0, len(body) - size + 1, size)]
        elif kind == b"\xff" and len(body) >= 2:
            makers[int.from_bytes(body[:2], "little")] = body[2:]
        elif kind == b"\x0a" and body:
            power = int.from_bytes(body[:1], "little", signed=True)
    return AdvertisementData(name, makers, service_data, services, power, rssi, ())


class BumbleScanner(BaseBleakScanner):
    """Scans until it is stopped."""

    def __init__(
        self,
        detection_callback: AdvertisementDataCallback | None,
        service_uuids: list[str] | None,
        scanning_mode: str = "active",
        *,
        radio: Radio,
        **_: Any,
    ) -> None:
        super().__init__(detection_callback, service_uuids)
        self._adapter = radio.adapter
        self._active = scanning_mode != "passive"
        self._heard: dict[str, tuple[bytes, bytes]] = {}

    async def start(self) -> None:
        """Scan; raises BleakBluetoothNotAvailableError."""
        self.seen_devices = {}
        self._heard = {}
        try:
            await self._adapter.scan(True, self._active)
        except AdapterError as error:
            raise _unavailable(error) from None
        self._adapter.on_report.append(self._report)

    async def stop(self) -> None:
        """Stop; nothing more is reported."""
        if self._report in self._adapter.on_report:
            self._adapter.on_report.remove(self._report)
        if not self._adapter.on_report:
            await self._adapter.scan(False)

    def _report(self, report: Any) -> None:
        key = report.address.to_string(False)
        advertised, response = self._heard.pop(key, (b"", b""))
        if report.event_type == hci.HCI_LE_Advertising_Report_Event.EventType.SCAN_RSP:
            response = bytes(report.data)
        else:
            advertised = bytes(report.data)
        self._heard[key] = (advertised, response)
        if len(self._heard) > SEEN_MAX:
            oldest = next(iter(self._heard))
            del self._heard[oldest]
            self.seen_devices.pop(oldest, None)
        adv = advertisement_of(advertised + response, report.rssi)
        if self.is_allowed_uuid(adv.service_uuids):
            device = self.create_or_update_device(key, key, adv.local_name, report.address, adv)
            self.call_detection_callbacks(device, adv)


# ---- one connection -------------------------------------------------------------------------------------------------
class BumbleClient(BaseBleakClient):
    """One peripheral. Raises what bleak says: BleakError, BleakGATTProtocolError, TimeoutError."""

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        *,
        disconnected_callback: Callable[[], None] | None,
        timeout: float,
        services: set[str] | None = None,
        radio: Radio,
        **_: Any,
    ) -> None:
        super().__init__(address_or_ble_device, disconnected_callback=disconnected_callback, timeout=timeout)
        self._adapter = radio.adapter
        self._device = address_or_ble_device if isinstance(address_or_ble_device, BLEDevice) else None
        self._wanted = services
        self._connection: Connection | None = None
        self._gatt: gatt_client.Client | None = None
        self._listening: dict[int, Callable[[bytes], None]] = {}

    @property
    def name(self) -> str:
        """As advertised."""
        return (self._device.name if self._device else None) or self.address.replace(":", "-")

    @property
    def mtu_size(self) -> int:
        """ATT_MTU."""
        return self._connection.att_mtu if self._connection is not None else att.ATT_DEFAULT_MTU

    @property
    def is_connected(self) -> bool:
        """Now."""
        return self._connection is not None

    async def connect(self, pair: bool, **_: Any) -> None:
        """Connect, exchange the MTU, encrypt if there is a bond, discover."""
        if self._connection is not None:
            raise BleakError("already connected")
        details = self._device.details if self._device is not None else None
        peer = details if isinstance(details, hci.Address) else self._adapter.known.get(self.address)
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._adapter.connect(peer or hci.Address(self.address), self._timeout)
        except AdapterError as error:
            raise _unavailable(error) if error.off else BleakError(str(error)) from None
        self._connection, self._gatt = connection, connection.gatt_client
        connection.on(connection.EVENT_DISCONNECTION, self._gone)
        try:
            await self._bounded(self._begin(connection, pair), self._timeout)
        except BaseException:
            await self._end()
            raise

    async def disconnect(self) -> None:
        """Disconnect; not an error when it is already so."""
        await self._end()

    async def pair(self, *_: Any, **__: Any) -> None:
        """Bond, or encrypt with the bond that there is."""
        connection = self._alive()
        bonded = await self._adapter.bonds.get(str(connection.peer_address))
        if bonded is None:
            await self._bounded(connection.pair(), PAIRING_S)
        elif not connection.encryption:
            await self._bounded(connection.encrypt(), OPERATION_S)

    async def unpair(self) -> None:
        """Forget the bond, and disconnect."""
        peer = self._connection.peer_address if self._connection else self._adapter.known.get(self.address)
        if peer is not None and await self._adapter.bonds.get(str(peer)) is not None:
            await self._adapter.bonds.delete(str(peer))
        await self._end()

    async def read_gatt_char(
        self, characteristic: BleakGATTCharacteristic, *, use_cached: bool = False, **_: Any
    ) -> bytearray:
        """Read a value."""
        return bytearray(await self._bounded(self._client().read_value(characteristic.handle)))

    async def read_gatt_descriptor(
        self, descriptor: BleakGATTDescriptor, *, use_cached: bool = False, **_: Any
    ) -> bytearray:
        """Read a descriptor."""
        return bytearray(await self._bounded(self._client().read_value(descriptor.handle)))

    async def write_gatt_char(self, characteristic: BleakGATTCharacteristic, data: SizedBuffer, response: bool) -> None:
        """Write; without response it waits only for room."""
        await self._bounded(self._write(characteristic.handle, bytes(data), response))

    async def write_gatt_descriptor(self, descriptor: BleakGATTDescriptor, data: SizedBuffer) -> None:
        """Write a descriptor."""
        await self._bounded(self._write(descriptor.handle, bytes(data), True))

    async def start_notify(self, characteristic: BleakGATTCharacteristic, callback: NotifyCallback, **_: Any) -> None:
        """Notifications, or indications where there are no others."""
        if characteristic.handle in self._listening:
            raise BleakError("notifications are on already")
        notify = "notify" in characteristic.properties
        cccd = characteristic.get_descriptor(CCCD)
        if cccd is None:
            raise BleakError(f"{characteristic.uuid} has no notifications")
        client = self._client()
        listeners = client.notification_subscribers if notify else client.indication_subscribers
        listener = self._listening[characteristic.handle] = lambda value: callback(bytearray(value))
        listeners.setdefault(characteristic.handle, set()).add(listener)  # before the answer: data may come with it
        try:
            await self.write_gatt_descriptor(cccd, struct.pack("<H", 1 if notify else 2))
        except BaseException:
            self._deafen(characteristic.handle)
            raise

    async def stop_notify(self, characteristic: BleakGATTCharacteristic) -> None:
        """Undo that."""
        cccd = characteristic.get_descriptor(CCCD)
        if characteristic.handle in self._listening and cccd is not None:
            self._deafen(characteristic.handle)
            await self.write_gatt_descriptor(cccd, bytes(2))

    # ---- inside -------------------------------------------------------------------------------------------------
    async def _begin(self, connection: Connection, pair: bool) -> None:
        await self._client().request_mtu(MTU)
        if await self._adapter.bonds.get(str(connection.peer_address)) is not None:
            # When the other side has forgotten the bond it stays an open link, as operating systems leave it.
            with contextlib.suppress(hci.HCI_Error):
                await connection.encrypt()
        elif pair:
            await connection.pair()
        self.services = await self._discover()

    async def _discover(self) -> BleakGATTServiceCollection:
        client, found = self._client(), BleakGATTServiceCollection()
        for service in await client.discover_services():
            uuid = str(service.uuid.to_hex_str("-")).lower()
            uuid = normalize_uuid_16(int(uuid, 16)) if len(uuid) == 4 else uuid
            if self._wanted and uuid not in self._wanted:
                continue
            own = BleakGATTService(service, service.handle, uuid)
            found.add_service(own)
            for proxy in await client.discover_characteristics((), service):
                uuid = str(proxy.uuid.to_hex_str("-")).lower()
                uuid = normalize_uuid_16(int(uuid, 16)) if len(uuid) == 4 else uuid
                names = [name for bit, name in enumerate(PROPERTIES) if int(proxy.properties) >> bit & 1]
                entry = BleakGATTCharacteristic(
                    proxy, proxy.handle, uuid, cast(Any, names), lambda: self.mtu_size - 3, own
                )
                found.add_characteristic(entry)
                for descriptor in await client.discover_descriptors(proxy):
                    kind = normalize_uuid_16(int(descriptor.type.to_hex_str(), 16))
                    found.add_descriptor(BleakGATTDescriptor(descriptor, descriptor.handle, kind, entry))
        return found

    async def _write(self, handle: int, data: bytes, response: bool) -> None:
        connection = self._alive()
        queue = connection.data_packet_queue
        if not response and queue is not None and queue.pending > WAITING_MAX:
            await connection.drain()
        await self._client().write_value(handle, data, response)

    async def _bounded(self, work: Awaitable[T], limit_s: float = OPERATION_S) -> T:
        """The work's result, in bleak's words when it fails; bumble cancels what waits when the link is lost."""
        try:
            async with asyncio.timeout(limit_s):
                return await work
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise BleakError("disconnected") from None
        except att.ATT_Error as error:
            raise BleakGATTProtocolError(error.error_code) from None
        except core.TimeoutError:
            raise TimeoutError("no answer") from None
        except (core.BaseBumbleError, hci.HCI_Error) as error:
            raise BleakError(str(error)) from None

    def _alive(self) -> Connection:
        if self._connection is None:
            raise BleakError("not connected")
        return self._connection

    def _client(self) -> gatt_client.Client:
        if self._gatt is None:
            raise BleakError("not connected")
        return self._gatt

    def _deafen(self, handle: int) -> None:
        listener = self._listening.pop(handle, None)
        if self._gatt is not None and listener is not None:
            for listeners in (self._gatt.notification_subscribers, self._gatt.indication_subscribers):
                listeners.get(handle, set()).discard(listener)

    async def _end(self) -> None:
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(BleakError, TimeoutError):
                await self._bounded(connection.disconnect(), END_S)
            self._gone()

    def _gone(self, _reason: int = 0) -> None:
        if self._connection is not None:
            self._connection = self._gatt = None
            self.services = None
            self._listening.clear()
            if self._disconnected_callback is not None:
                self._disconnected_callback()
