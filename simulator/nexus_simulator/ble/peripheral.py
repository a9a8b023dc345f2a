"""The tool as a BLE peripheral: its GATT table, its advertising, and its messages in both directions.

One message is one notification or one write, without framing. The tool makes, queues and drops messages by itself; here
they are only handed over, as fast as the link takes them. It knows the tool as its users do, and nothing of hosts.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from bumble import att, hci, l2cap
from bumble.core import UUID, AdvertisingData
from bumble.device import Connection, DeviceConfiguration
from bumble.gatt import Service
from bumble.profiles.gap import GenericAccessService

from nexus_simulator.assembly import make_tool
from nexus_simulator.ble.controller import AirController
from nexus_simulator.ble.host import QuietHost
from nexus_simulator.ble.pairing import Guard, Level, Security, ToolDevice
from nexus_simulator.ble.radio import Air, air
from nexus_simulator.ble.table import Entry, StrictServer, short
from nexus_simulator.ble.updates import Updates
from nexus_simulator.firmware.identity import FIRMWARE_VERSION, HARDWARE_VERSION, MODEL
from nexus_simulator.options import Options
from nexuslink.protocol import messages as wire

ADVERTISING_MS = 100.0
"""How often the tool advertises, at least [assumption]."""
INTERVAL_UNITS = (6, 12)
"""Connection interval that the tool asks for: 7.5 to 15 ms."""
TIMEOUT_UNITS = 200
"""Supervision time-out that it asks for: 2 s."""
MTU_MAX = 247
ATT_HEADER = 3
ROOM = 8
"""Stream messages that may be on the way; the others wait in the tool's own queue, which drops and counts."""
BOOT_S = 0.3
"""From a restart to the first advertisement [assumption]."""
ANSWER_OUT_S = 0.05
"""A tool that is told to restart waits this long, so that its answer gets out."""
HANG_UP_S = 2.0
LONG_PRESS_MS = 3000
"""What opens the bonding window [assumption]."""
RETRY_S = 0.0005
NAME_TAIL = 2
"""Characters of the serial number in the name: what is left of 31 bytes beside flags and a 128-bit UUID."""

MANUFACTURER = "nexuslink (simulated)"


@dataclass(slots=True)
class Counts:
    """What the tool's radio side has seen."""

    received: int = 0
    sent: int = 0
    not_subscribed: int = 0
    """Messages for which no host listened."""
    too_long: int = 0
    """Messages that did not fit the link any more."""
    malformed: int = 0
    """Packets from the peer that could not be read."""


class _ToolHost(QuietHost):
    """Bumble's parsers raise on what a peer may send; here that is counted and forgotten."""

    def __init__(self, counts: Counts, *args: Any) -> None:
        super().__init__(*args)
        self._counts = counts

    def on_packet(self, packet: bytes) -> None:
        """One packet from the controller."""
        try:
            super().on_packet(packet)
        except Exception:  # whatever a parser met
            self._counts.malformed += 1


@dataclass(slots=True)
class _Radio:
    """What is made anew at every start of the tool."""

    controller: AirController
    host: QuietHost
    device: ToolDevice
    server: StrictServer
    stream: Entry = field(init=False)
    control: Entry = field(init=False)
    battery: Entry = field(init=False)
    smp: Entry = field(init=False)


class NexusPeripheral:
    """One simulated tool on one air: `start`, then it advertises; `close` leaves nothing behind.

    Raises ValueError with one line for options that a tool on the air cannot have.
    """

    def __init__(
        self, options: Options | None = None, where: Air | str = "nexus", security: Security | None = None
    ) -> None:
        self.air = air(where) if isinstance(where, str) else where
        self.tool = make_tool(options or Options())
        self.guard = Guard(security or Security(), self.serial_number)
        self.counts = Counts()
        self.rssi_dbm = -58.0
        self.connection: Connection | None = None
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._radio: _Radio | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._restarts = self.tool.firmware.restarts
        self._restarting = False
        self._battery_said: int | None = None
        self.updates = Updates()
        self._near = True
        digest = bytearray(hashlib.sha256(self.serial_number.encode()).digest()[:6])
        digest[5] |= 0xC0  # a static random address
        self.address = hci.Address(bytes(digest), hci.Address.RANDOM_DEVICE_ADDRESS)

    # ---- what it is ---------------------------------------------------------------------------------------------
    @property
    def serial_number(self) -> str:
        """As in HELLO and in the advertisement."""
        return self.tool.identity.serial_number

    @property
    def name(self) -> str:
        """As in the advertisement."""
        return f"Nexus {self.serial_number[-NAME_TAIL:]}"

    @property
    def running(self) -> bool:
        """It is switched on."""
        return self._radio is not None

    @property
    def mtu(self) -> int:
        """ATT_MTU of the present connection."""
        return self.connection.att_mtu if self.connection is not None else att.ATT_DEFAULT_MTU

    @property
    def level(self) -> Level:
        """How far the present link can be trusted."""
        return self.guard.level(self.connection) if self.connection is not None else Level.OPEN

    # ---- what the world does to it ------------------------------------------------------------------------------
    async def start(self) -> None:
        """Switch the radio on and advertise."""
        if self._radio is None:
            await self._boot()

    async def close(self) -> None:
        """Switch off for good. A host notices by its supervision time-out."""
        self._unplug()
        tasks = set(self._tasks)
        while tasks:  # before Python 3.12 a wait that is just over swallows a cancellation
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=0.05)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def press_button(self) -> None:
        """A long press: opens the bonding window. A host that listens is told, as of any press."""
        self.guard.open_window()
        self.tool.firmware.event(wire.EventKind.BUTTON, LONG_PRESS_MS)
        self._pump()

    def crash(self) -> None:
        """The tool hangs, and its radio with it, until `restart`."""
        self._unplug()

    def restart(self) -> None:
        """A warm restart: new boot id, and the radio starts anew after a moment."""
        self.tool.restart()
        self._unplug()
        self._reboot(0.0)

    def leave(self) -> None:
        """Out of everybody's range."""
        self._near = False
        if self._radio is not None:
            self.air.leave(self._radio.controller)

    def return_(self) -> None:
        """In range again."""
        self._near = True
        if self._radio is not None:
            self.air.come_back(self._radio.controller)

    # ---- switching on and off -----------------------------------------------------------------------------------
    async def _boot(self) -> None:
        controller = AirController(self.name, self.air)
        controller.rssi_dbm = self.rssi_dbm
        host = _ToolHost(self.counts, controller, controller)
        config = DeviceConfiguration(
            name=self.name,
            address=self.address,
            irk=hashlib.sha256(b"irk" + self.serial_number.encode()).digest()[:16],
            gap_service_enabled=False,
            gatt_service_enabled=False,
            classic_smp_enabled=False,
        )
        device = ToolDevice(self.guard, config=config, host=host)
        radio = self._radio = _Radio(controller, host, device, StrictServer(device, self.guard))
        if not self._near:
            self.air.leave(controller)
        self._fill(radio)
        device.on(device.EVENT_CONNECTION, self._connected)
        await device.power_on()
        queue = host.le_acl_packet_queue
        assert queue is not None
        queue.on("flow", self._pump)
        await self._advertise()

    def _unplug(self) -> None:
        radio, self._radio = self._radio, None
        if radio is None:
            return
        radio.controller.remove()
        self._disconnected()
        radio.host.emit("flush")  # what waited for the peer is cancelled

    def _reboot(self, after_s: float) -> None:
        """Off, and on again. Until it is off the tool neither hears nor says anything."""
        self._restarts = self.tool.firmware.restarts
        if not self._restarting:
            self._restarting = True
            self._spawn(self._off_and_on(after_s))

    async def _off_and_on(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self._unplug()
        await asyncio.sleep(BOOT_S)
        self._restarting = False
        await self.start()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work, name=self.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _advertise(self) -> None:
        """Connectable, with name and service; the serial number in the scan response."""
        radio = self._radio
        if radio is None or self.connection is not None or self.tool.switched_off:
            return
        service = UUID(wire.NEXUS_SERVICE_UUID)
        flags = bytes((AdvertisingData.LE_GENERAL_DISCOVERABLE_MODE_FLAG | AdvertisingData.BR_EDR_NOT_SUPPORTED_FLAG,))
        parts: list[tuple[int, bytes]] = [
            (AdvertisingData.FLAGS, flags),
            (AdvertisingData.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, service.to_bytes()),
            (AdvertisingData.COMPLETE_LOCAL_NAME, self.name.encode()),
        ]
        more = [(AdvertisingData.SERVICE_DATA_128_BIT_UUID, service.to_bytes() + self.serial_number.encode("ascii"))]
        await radio.device.start_advertising(
            advertising_data=bytes(AdvertisingData(parts)),
            scan_response_data=bytes(AdvertisingData(more)),
            advertising_interval_min=ADVERTISING_MS,
            advertising_interval_max=ADVERTISING_MS,
        )

    # ---- the table ----------------------------------------------------------------------------------------------
    def _fill(self, radio: _Radio) -> None:
        """The table of gatt.toml, whole."""
        server = radio.server
        radio.device.gatt_server = server
        server.add_service(GenericAccessService(self.name))
        dotted = [".".join(str(part) for part in version) for version in (FIRMWARE_VERSION, HARDWARE_VERSION)]
        texts = (
            (wire.MANUFACTURER_NAME_UUID, MANUFACTURER),
            (wire.MODEL_NUMBER_UUID, MODEL),
            (wire.SERIAL_NUMBER_UUID, self.serial_number),
            (wire.FIRMWARE_REVISION_UUID, dotted[0]),
            (wire.HARDWARE_REVISION_UUID, dotted[1]),
        )
        table = {
            wire.NEXUS_SERVICE_UUID: [
                server.entry(wire.NEXUS_STREAM_UUID, "NOTIFY", Level.ENCRYPTED),
                server.entry(wire.NEXUS_CONTROL_UUID, "WRITE|NOTIFY", Level.ENCRYPTED, write=self._written),
            ],
            wire.GENERIC_ATTRIBUTE_SERVICE_UUID: [server.entry(wire.SERVICE_CHANGED_UUID, "INDICATE")],
            wire.DEVICE_INFORMATION_SERVICE_UUID: [server.entry(uuid, "READ", read=t.encode()) for uuid, t in texts],
            wire.BATTERY_SERVICE_UUID: [
                server.entry(wire.BATTERY_LEVEL_UUID, "READ|NOTIFY", read=lambda _: bytes((self._battery(),)))
            ],
            wire.SMP_SERVICE_UUID: [
                server.entry(
                    wire.SMP_CHARACTERISTIC_UUID,
                    "WRITE_WITHOUT_RESPONSE|NOTIFY",
                    Level.AUTHENTICATED,
                    write=self._smp_written,
                )
            ],
        }
        for service, entries in table.items():
            server.add_service(Service(short(service), entries))
        radio.stream, radio.control = table[wire.NEXUS_SERVICE_UUID]
        (radio.battery,) = table[wire.BATTERY_SERVICE_UUID]
        (radio.smp,) = table[wire.SMP_SERVICE_UUID]

    # ---- a connection -------------------------------------------------------------------------------------------
    def _connected(self, connection: Connection) -> None:
        radio = self._radio
        if radio is None:
            return
        self.connection = connection
        radio.server.max_mtu = max(att.ATT_DEFAULT_MTU, min(MTU_MAX, self.air.mtu_max))
        connection.on(connection.EVENT_DISCONNECTION, lambda _: self._disconnected())
        connection.on(connection.EVENT_CONNECTION_ATT_MTU_UPDATE, self._link_changed)
        connection.on(connection.EVENT_CONNECTION_PARAMETERS_UPDATE, self._link_changed)
        connection.on(connection.EVENT_CONNECTION_ENCRYPTION_CHANGE, self._encrypted)
        self._link_changed()
        manager = radio.device.l2cap_channel_manager
        # The answer does not matter: a central that refuses stays at its own interval.
        manager.connection_parameters_update_response = self._loop.create_future()
        manager.send_control_frame(
            connection,
            l2cap.L2CAP_LE_SIGNALING_CID,
            l2cap.L2CAP_Connection_Parameter_Update_Request(
                identifier=manager.next_identifier(connection),
                interval_min=INTERVAL_UNITS[0],
                interval_max=INTERVAL_UNITS[1],
                latency=0,
                timeout=TIMEOUT_UNITS,
            ),
        )

    def _link_changed(self) -> None:
        """The tool is told what its link carries now."""
        if self.connection is not None:
            self.tool.max_message = self.connection.att_mtu - ATT_HEADER
            self.tool.interval_us = round(self.connection.parameters.connection_interval * 1000.0)
            self.tool.link_authenticated = self.level >= Level.AUTHENTICATED

    def _encrypted(self) -> None:
        self._link_changed()
        if self._radio is not None and self.connection is not None:
            self._radio.server.restore(self.connection)

    def _disconnected(self) -> None:
        connection, self.connection = self.connection, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if connection is None:
            return
        self.guard.disconnected(connection.handle)
        self.updates.clear()
        self._battery_said = None
        self.tool.disconnect()
        self._spawn(self._advertise())

    # ---- messages -----------------------------------------------------------------------------------------------
    def _on_ns(self) -> int:
        return round((self._loop.time() - self._began_s) * 1e9)

    def _battery(self) -> int:
        percent = self.tool.battery_percent(self.tool.device_us(self._on_ns()))
        return max(0, min(100, round(percent)))

    def _written(self, connection: Connection, message: bytes) -> None:
        if self._restarting or connection is not self.connection:
            return
        self.counts.received += 1
        self.tool.receive(self._on_ns(), bytes(message))
        self._pump()

    def _pump(self) -> None:
        """Send what the tool has to send, and come back when it will have more."""
        radio, connection = self._radio, self.connection
        if radio is None or connection is None or self._restarting:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        queue = connection.data_packet_queue
        room = max(0, ROOM - (queue.pending if queue is not None else 0))
        for departure in self.tool.advance(self._on_ns(), room):
            self._send(radio, connection, departure.message)
        percent = self._battery()
        if percent != self._battery_said and radio.server.notify(connection, radio.battery, bytes((percent,))):
            self._battery_said = percent
        if self.tool.firmware.restarts != self._restarts:
            self._reboot(ANSWER_OUT_S)
        elif self.tool.ended is not None:
            self._spawn(self._hang_up(connection))
        else:
            due = self.tool.due_ns()
            if due is not None:
                wait = max(RETRY_S, (due - self._on_ns()) * 1e-9)
                self._timer = self._loop.call_later(wait, self._pump)

    def _send(self, radio: _Radio, connection: Connection, message: bytes) -> None:
        if len(message) > connection.att_mtu - ATT_HEADER:
            self.counts.too_long += 1
            return
        response = message[0] == wire.MessageType.RESPONSE
        if radio.server.notify(connection, radio.control if response else radio.stream, message):
            self.counts.sent += 1
        else:
            self.counts.not_subscribed += 1

    async def _hang_up(self, connection: Connection) -> None:
        """The tool has ended the link by itself."""
        with contextlib.suppress(hci.HCI_Error, TimeoutError):
            async with asyncio.timeout(HANG_UP_S):
                await connection.disconnect()

    def _smp_written(self, connection: Connection, data: bytes) -> None:
        radio = self._radio
        if radio is not None and connection is self.connection:
            for answer in self.updates.feed(data):
                radio.server.notify(connection, radio.smp, answer)
