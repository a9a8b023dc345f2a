"""``ble:``: a tool over Bluetooth LE, by bleak. One notification, and one write, is one message.

    ble:                        the only one near           ble://NX-000123         by its serial number
    ble://AA:BB:CC:DD:EE:FF     by its address              ble://Nexus 23          by its name
    ?timeout=10  seconds to find it      ?pairing=30  seconds to be let in      ?radio=NAME:WHERE  see `ble_backends`
    ?bond=yes    this computer has paired with it: nothing is said before the link is encrypted with that key
    ?bond=AA:BB:CC:DD:EE:FF  and the key belongs to this address: no other one is it

What other programs have learnt the hard way, and what is done about it here:

everywhere   bleak bounds few of its calls, and an unpaired access to an encrypted characteristic may hang for ever:
             every call is held by a `Lifeline`. Subscribing lets the system pair: it alone gets the time of a person.
             Scanning has stopped before `connect` begins, and `connect` gets the ``BLEDevice``, not an address.
             Nothing is read or written before both subscriptions stand, and the tool sends nothing before START: a
             bonded device loses notifications that are sent earlier (bleak #1836, #1885).
             Notifications are taken by plain functions, because coroutines would pile up as tasks.
             `BleakClient.mtu_size` is 23 on BlueZ, and other sizes may come late: the longest message is what the tool
             says it is, in HELLO and STATUS.
             The client is let go of by `close` only, never from its own disconnect callback (Meshtastic #921).
             The system pairs by itself, with its own agent, when a subscription is refused (BlueZ, macOS). Where it
             leaves that to programs (Windows) ``pair()`` is called then, once; on macOS it would raise.
             The connection interval is the tool's to ask for (bleak #1446).
             Who has a key (``bonded``) only BlueZ says. With ``bond=yes`` the key is asked for before the first
             subscription, so that a tool which pretends to need none is found out; a wrong or forgotten key ends the
             attempt. The others encrypt by themselves with a peer for which they have a key, and a peer is an address
             (on macOS a UUID that stands for one): whoever keeps bonds compares `BleTransport.address`.
Linux        AcquireNotify is asked for: StartNotify goes by way of D-Bus signals and lost 8 of 1000 messages at 500 Hz.
             What has no key is paired before it subscribes: after a refusal BlueZ takes a subscription for one in use.
             It is given back before `disconnect`: bluetoothd 5.66 crashes when it is given back afterwards.
             A table is called complete while parts of it are still to be told: one that lacks something is read again.
             Each characteristic has a queue of its own then: answers are kept behind the data before them (`Rear`).
             bluetoothd drops what a program has not taken when net.unix.max_dgram_qlen wait (systemd: 512, else 10).
Windows      a second ``start_notify`` makes every message come twice (bleak #1214): each connection has its own client,
             and subscribes once.
macOS        addresses are UUIDs of this computer's own: they are taken, but only the serial number lasts.

It must never know what a message means.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from nexuslink.protocol.chunk import ChunkSink
from nexuslink.protocol.messages import NEXUS_CONTROL_UUID, NEXUS_SERVICE_UUID, NEXUS_STREAM_UUID
from nexuslink.transport.base import Inlet
from nexuslink.transport.ble_backends import Backends, ble_backends, check_radio
from nexuslink.transport.ble_intake import VALUE_MAX, Intake, Rear
from nexuslink.transport.ble_lifeline import Lifeline, patiently, settled
from nexuslink.transport.ble_nearby import NO_NAME, Found
from nexuslink.transport.ble_pairing import Admission
from nexuslink.transport.ble_scan import BleScan
from nexuslink.transport.ble_words import NEAR, Step, ble_error, too_late
from nexuslink.transport.errors import (
    LinkLostError,
    NotANexusError,
    OutOfReachError,
    PairingError,
    SeveralToolsError,
    TransportError,
)
from nexuslink.transport.pairing import Pairing
from nexuslink.transport.url import take_params

if TYPE_CHECKING:
    from bleak import BleakClient
    from bleak.args.bluez import BlueZNotifyArgs
    from bleak.backends.characteristic import BleakGATTCharacteristic

T = TypeVar("T")
FIND_TIMEOUT_S: Final = 10.0
PAIRING_TIMEOUT_S: Final = 30.0
"""For both subscriptions: a person may have to compare six digits. The same as Bluetooth's own bound on a pairing."""
CONNECT_TIMEOUT_S: Final = 10.0
"""To connect and to read the table."""
DISCONNECT_TIMEOUT_S: Final = 5.0
"""BlueZ takes 2 s of its own for each, by design."""
CLOSE_TIMEOUT_S: Final = 2.0
"""For everything else that is let go of."""
WRITE_TIMEOUT_S: Final = 3.0
"""Longer than on a cable, and than the supervision time-out that the tool asks for (2 s): a hand between tool and
computer is a silence of a second or so that the radio repairs by itself. Giving up earlier than the radio would turn it
into a lost link and a gap of several seconds. A link that is really dead is said to be so by the radio, which ends the
write at once; this bound is for a tool that keeps the link and answers nothing."""
SETTLE_S: Final = 1.0
"""How long others may still turn up before one tool is the only one near."""

_ADDRESS: Final = re.compile(r"(?i)([0-9a-f]{2}:){5}[0-9a-f]{2}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NEEDED: Final = {
    NEXUS_CONTROL_UUID: ("CONTROL", ("write", "notify")),
    NEXUS_STREAM_UUID: ("STREAM", ("notify",)),
}
"""Characteristics of the service, with their properties, in the order in which they are subscribed."""
_BLUEZ: Final[BlueZNotifyArgs] = {"use_start_notify": False}
_ENDED: Final = "the Bluetooth connection has ended; is the tool on, and within reach?"


def open_ble(target: str, params: Mapping[str, str]) -> BleTransport:
    """Factory of the scheme ``ble``: a serial number, an address, a name, or nothing for the only one near."""
    defaults = {"timeout": f"{FIND_TIMEOUT_S:g}", "pairing": f"{PAIRING_TIMEOUT_S:g}", "radio": "", "bond": "no"}
    values = take_params(params, defaults)
    seconds = {name: _seconds(name, values[name]) for name in ("timeout", "pairing")}
    if values["bond"] not in ("yes", "no") and not _ADDRESS.fullmatch(values["bond"]):
        raise ValueError(f"bond={values['bond']!r} is neither yes nor no, nor an address")
    if values["radio"]:
        check_radio(values["radio"])
    query = "&".join(f"{name}={quote(text, safe=':/.,@[]=')}" for name, text in params.items())
    url = (f"ble://{quote(target, safe=': ')}" if target else "ble:") + (f"?{query}" if query else "")
    return BleTransport(
        url, target, seconds["timeout"], seconds["pairing"], values["radio"] or None, values["bond"].removeprefix("no")
    )


def _seconds(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 600.0:
        raise ValueError(f"{name}={text!r} is not a number of seconds from 0.1 to 600")
    return value


@dataclass(slots=True)
class _Connection:
    """Everything that one `open` has taken, and what has to be let go of again."""

    lifeline: Lifeline
    backends: Backends
    intake: Intake
    client: BleakClient | None = None
    put_aside: BleakClient | None = None
    """One that is let go of for another: its end is not the link's."""
    admission: Admission | None = None
    control: BleakGATTCharacteristic | None = None
    subscribed: list[BleakGATTCharacteristic] = field(default_factory=list)
    unwound: asyncio.Event = field(default_factory=asyncio.Event)
    """`open` is through, one way or the other: nothing of it uses the radio any more."""
    releasing: asyncio.Task[None] | None = None


class BleTransport:
    """One tool over Bluetooth LE."""

    framed = False

    def __init__(
        self, url: str, target: str, find_s: float, pairing_s: float, radio: str | None, bond: str = ""
    ) -> None:
        self.url = url
        self._name = url.removesuffix(":")
        """What every message begins with."""
        self.bonded: bool | None = None
        """Whether this computer had a key of the tool before it connected; ``None``: the system does not say."""
        self.address = ""
        """Of the tool that was found; see `Found.address`."""
        self.pairing = Pairing()
        self._bond = bond
        self._dropped = self._odd = 0
        self._target = target
        self._find_s, self._pairing_s = find_s, pairing_s
        self._radio = radio
        self._inlet = Inlet()
        self._connection: _Connection | None = None
        self._turn = asyncio.Lock()

    @property
    def dropped(self) -> int:
        """Notifications, of all connections, that were dropped because too many waited."""
        return self._dropped + (self._connection.intake.dropped if self._connection is not None else 0)

    @property
    def odd(self) -> int:
        """Notifications, of all connections, that were dropped because they were empty or too long to be a value."""
        return self._odd + (self._connection.intake.odd if self._connection is not None else 0)

    def now_ns(self) -> int:
        """Host's monotonic clock."""
        return time.monotonic_ns()

    # -- opening --------------------------------------------------------------------------------------------------

    async def open(self, sink: ChunkSink) -> None:
        """Find, connect, look at the table, subscribe. Bounded by the sum of the bounds of these."""
        before = self._connection
        if before is not None:
            if before.lifeline.reason is None:
                raise TransportError(f"{self._name}: is open already; close it first")
            await self._release(before)
        lifeline = Lifeline()
        connection = self._connection = _Connection(lifeline, Backends(), Intake(self._inlet.arrived))
        self._turn = asyncio.Lock()
        try:
            connection.backends = ble_backends(self._radio)
            found = await self._find(connection)
            self.bonded, self.address = found.bonded, found.address
            await self._connect(connection, found)
            await self._let_in(connection)
            if lifeline.reason is not None:
                raise LinkLostError(lifeline.reason)
        except BaseException:
            connection.unwound.set()
            await self._release(connection)
            raise
        connection.unwound.set()
        self._inlet.start(sink)
        connection.intake.open()

    async def _find(self, connection: _Connection) -> Found:
        scan = BleScan(self._radio, backends=connection.backends, lifeline=connection.lifeline, name=self._name)
        async with scan:
            found = await scan.find(self._fits, self._find_s)
            if found is None:
                if scan.trouble is not None:
                    raise scan.trouble
                raise OutOfReachError(f"{self._name}: not heard within {self._find_s:g} s; {_others(scan.tools())}")
            if self._exact(found):
                return found
            await connection.lifeline.hold(asyncio.sleep(SETTLE_S), 2 * SETTLE_S)
            fitting = [tool for tool in scan.tools() if self._fits(tool)] or [found]
        if len(fitting) > 1:
            names = ", ".join(tool.url.partition("?")[0] for tool in fitting)
            raise SeveralToolsError(f"{self._name}: {len(fitting)} tools are near; choose one of {names}")
        return fitting[0]

    def _fits(self, found: Found) -> bool:
        if _ADDRESS.fullmatch(self._bond) and found.address.casefold() != self._bond.casefold():
            return False
        if not self._target:
            return found.serial_number is not None
        return self._exact(found) or (found.name != NO_NAME and found.name.casefold() == self._target.casefold())

    def _exact(self, found: Found) -> bool:
        """It cannot be another one, as far as can be known from here."""
        if _ADDRESS.fullmatch(self._target):
            return found.address.casefold() == self._target.casefold()
        serial = found.serial_number
        return serial is not None and serial.casefold() == self._target.casefold()

    async def _connect(self, connection: _Connection, found: Found) -> None:
        admission = Admission(self._name, self.pairing, connection.backends, found, self._bond)
        connection.admission = admission
        try:
            client = await self._client(connection, found)
            if self._is_bluez(connection) and not self._is_whole(client):
                connection.put_aside = client
                await settled(client.disconnect(), DISCONNECT_TIMEOUT_S)
                await self._client(connection, found)
        except LinkLostError as error:  # with a key some systems encrypt before they say that it is connected
            raise admission.doubted(error, self._ended(connection)) from None

    async def _client(self, connection: _Connection, found: Found) -> BleakClient:
        """Connected, and its table read."""
        from bleak import BleakClient

        def gone(client: BleakClient) -> None:
            if client is not connection.put_aside:
                self._gone(connection)

        client = BleakClient(found.device, gone, timeout=CONNECT_TIMEOUT_S, **connection.backends.client)
        connection.client = client
        await patiently(lambda: self._held(connection, Step.CONNECT, client.connect(), CONNECT_TIMEOUT_S))
        return client

    def _is_whole(self, client: BleakClient) -> bool:
        """The table has what is needed."""
        try:
            return bool(self._characteristics(client))
        except TransportError:
            return False

    async def _let_in(self, connection: _Connection) -> None:
        assert connection.admission is not None
        try:
            await self._held(connection, Step.SUBSCRIBE, self._subscribe(connection), self._pairing_s)
        except (LinkLostError, PairingError) as error:
            raise await connection.admission.judged(error, self._ended(connection)) from None
        finally:
            self.pairing.over()

    async def _subscribe(self, connection: _Connection) -> None:
        client, admission = connection.client, connection.admission
        assert client is not None and admission is not None

        rear = Rear(connection.intake.put)

        def notified(characteristic: BleakGATTCharacteristic, data: bytearray) -> None:
            if not self._is_bluez(connection):
                connection.intake.put(bytes(data))
            elif characteristic is connection.control:
                rear.answer(bytes(data))
            else:
                rear.data(bytes(data))

        characteristics = self._characteristics(client)
        connection.control = characteristics[0]
        await admission.before_subscribing(client)
        for characteristic in characteristics:
            try:
                await client.start_notify(characteristic, notified, bluez=_BLUEZ)
            except Exception as error:
                if not admission.may_pair(error):
                    raise
                await admission.pair(client)
                await client.start_notify(characteristic, notified, bluez=_BLUEZ)
            connection.subscribed.append(characteristic)

    def _characteristics(self, client: BleakClient) -> list[BleakGATTCharacteristic]:
        """Those that are needed, by the table that the system has read."""
        try:
            services = [s for s in client.services if s.uuid.lower() == NEXUS_SERVICE_UUID]
        except Exception as error:  # no table at all
            raise ble_error(self._name, Step.CONNECT, error) from None
        if not services:
            raise NotANexusError(f"{self._name}: it has no Nexus service; is this a Nexus? update its firmware")
        chosen = []
        for uuid, (name, properties) in _NEEDED.items():
            for characteristic in services[0].characteristics:
                if characteristic.uuid.lower() == uuid and set(properties) <= set(characteristic.properties):
                    chosen.append(characteristic)
                    break
            else:
                raise NotANexusError(
                    f"{self._name}: its table lacks the characteristic {name} ({', '.join(properties)}); update its "
                    "firmware, and if that was just done remove it in the Bluetooth settings and pair it again"
                )
        return chosen

    async def _held(self, connection: _Connection, step: Step, call: Coroutine[Any, Any, T], seconds: float) -> T:
        """Bleak's answer, or the reason why there is none, as one of our errors."""
        try:
            return await connection.lifeline.hold(call, seconds)
        except TimeoutError:
            raise too_late(self._name, step, seconds) from None
        except TransportError:
            raise
        except Exception as error:  # every system has its own
            raise ble_error(self._name, step, error) from None

    # -- open -----------------------------------------------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        """Send one message, and wait for the tool to confirm it: at most `WRITE_TIMEOUT_S`, others' turns included."""
        connection = self._connection
        if connection is None or connection.lifeline.reason is not None or connection.control is None:
            raise LinkLostError(f"{self._name}: the link is closed")
        if len(data) > VALUE_MAX:
            raise TransportError(
                f"{self._name}: {len(data)} bytes are no message; Bluetooth carries {VALUE_MAX} at most"
            )
        await self._held(connection, Step.WRITE, self._write(connection, data), WRITE_TIMEOUT_S)

    async def _write(self, connection: _Connection, data: bytes) -> None:
        client, control = connection.client, connection.control
        assert client is not None and control is not None
        async with self._turn:  # some systems refuse a second write while one is under way
            await client.write_gatt_char(control, data, response=True)

    def pause(self) -> None:
        """A radio cannot be held back: the tool's queue fills, then it drops and counts."""

    def resume(self) -> None:
        """See `pause`."""

    # -- the end --------------------------------------------------------------------------------------------------

    def _ended(self, connection: _Connection) -> bool:
        """By the tool, or by the system; not by us."""
        return connection.lifeline.reason == f"{self._name}: {_ENDED}"

    def _gone(self, connection: _Connection) -> None:
        """Called by bleak, on the loop: only noted here, `close` lets go."""
        first = connection.lifeline.reason is None
        reason = f"{self._name}: {_ENDED}"
        connection.lifeline.cut(reason)
        if first and connection is self._connection:
            connection.intake.close()
            self._inlet.ended(reason)

    async def close(self) -> None:
        """Disconnect, let go of the radio. Bounded; also ends an `open` that is under way."""
        self._inlet.stop()
        if self._connection is not None:
            await self._release(self._connection)

    async def _release(self, connection: _Connection) -> None:
        """Once for each connection; whoever asks waits for it, and it goes on even if they do not."""
        if connection.releasing is None:
            self._inlet.stop()
            connection.intake.close()
            connection.lifeline.cut(f"{self._name}: the link is closed")
            connection.releasing = asyncio.create_task(self._let_go(connection), name=f"close {self.url}")
        await asyncio.shield(connection.releasing)

    async def _let_go(self, connection: _Connection) -> None:
        await settled(connection.unwound.wait(), 2 * CLOSE_TIMEOUT_S)
        if connection.client is not None:
            await self._unsubscribe(connection, connection.client)
            await settled(connection.client.disconnect(), DISCONNECT_TIMEOUT_S)
        await settled(connection.backends.close(), CLOSE_TIMEOUT_S)
        self._dropped += connection.intake.dropped
        self._odd += connection.intake.odd
        connection.intake.dropped = connection.intake.odd = 0
        if self._connection is connection:
            self._connection = None

    @staticmethod
    def _is_bluez(connection: _Connection) -> bool:
        return connection.backends.radio is None and sys.platform == "linux"

    async def _unsubscribe(self, connection: _Connection, client: BleakClient) -> None:
        """Only where that is needed: see "Linux" above."""
        if self._is_bluez(connection):
            for characteristic in connection.subscribed:
                await settled(client.stop_notify(characteristic), CLOSE_TIMEOUT_S)


def _others(tools: list[Found]) -> str:
    """What was heard instead."""
    if not tools:
        return NEAR
    names = [tool.serial_number or f"{tool.name} at {tool.address} ({tool.doubt})" for tool in tools]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"near are {', '.join(names[:5])}{more}"
