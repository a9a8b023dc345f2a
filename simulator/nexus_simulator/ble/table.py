"""A GATT server that lets a peer do what the table allows and nothing else.

Bumble's server checks encryption only where a value is read or written, never on the descriptor that switches
notifications on, never asks whether an attribute may be written at all, and does not know an authenticated bond.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bumble import att
from bumble.core import UUID
from bumble.device import Connection, Device
from bumble.gatt import GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR, Characteristic, Descriptor
from bumble.gatt_server import Server

from nexus_simulator.ble.pairing import Guard, Level
from nexuslink.protocol.messages import MAX_MESSAGE

Write = Callable[[Any, bytes], None]
"""``write(connection, value)``"""
Read = Callable[[Any], bytes]
"""``read(connection)``"""
_READS = (att.ATT_Read_Request, att.ATT_Read_Blob_Request)
_WRITES = (att.ATT_Write_Request, att.ATT_Write_Command, att.ATT_Prepare_Write_Request)
CCCD_SIZE = 2
_BASE = "-0000-1000-8000-00805f9b34fb"
_COMMANDS = (att.ATT_Write_Command, att.ATT_Signed_Write_Command)


def _no_read(_: Any) -> bytes:
    raise att.ATT_Error(att.ErrorCode.READ_NOT_PERMITTED)


def _no_write(_: Any, __: bytes) -> None:
    raise att.ATT_Error(att.ErrorCode.WRITE_NOT_PERMITTED)


def short(uuid: str) -> UUID:
    """A UUID of Bluetooth's own in its 16 bits: who looks for 180A does not find it spelt out in a declaration."""
    text = uuid.lower()
    assigned = text.startswith("0000") and text.endswith(_BASE)
    return UUID(text[4:8] if assigned else text)


class Entry(Characteristic[Any]):
    """A characteristic with the level of trust that it needs."""

    level = Level.OPEN


class StrictServer(Server):
    """The tool's side of ATT."""

    def __init__(self, device: Device, guard: Guard) -> None:
        super().__init__(device)
        self.refused = 0
        """Reads and writes that were not allowed."""
        self._guard = guard
        self._needs: dict[int, Level] = {}

    def entry(
        self,
        uuid: str,
        properties: str,
        level: Level = Level.OPEN,
        read: Read | bytes | None = None,
        write: Write | None = None,
    ) -> Entry:
        """A characteristic; ``properties`` as bumble names them, joined by "|"."""
        flags = Characteristic.Properties.from_string(properties)
        permissions = att.Attribute.Permissions(0)
        if flags & Characteristic.Properties.READ:
            permissions |= att.Attribute.READABLE
        if flags & (Characteristic.Properties.WRITE | Characteristic.Properties.WRITE_WITHOUT_RESPONSE):
            permissions |= att.Attribute.WRITEABLE
        reading: Read = _no_read if read is None else (lambda _: read) if isinstance(read, bytes) else read

        def writing(connection: Any, data: bytes) -> None:
            if len(data) > MAX_MESSAGE:  # in pieces, as a "long write", it may be up to 512 bytes
                raise att.ATT_Error(att.ErrorCode.INVALID_ATTRIBUTE_LENGTH)
            (write or _no_write)(connection, data)

        value: att.AttributeValueV2[bytes] = att.AttributeValueV2(reading, writing)
        descriptors: list[Descriptor] = []
        made = Entry(short(uuid), flags, permissions, value, descriptors)
        made.level = level
        if flags & (Characteristic.Properties.NOTIFY | Characteristic.Properties.INDICATE):
            either = att.Attribute.READABLE | att.Attribute.WRITEABLE
            kind = GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR
            descriptors.append(Descriptor(kind, either, self.make_descriptor_value(made)))
        return made

    def add_attribute(self, attribute: att.Attribute[Any]) -> None:
        """Remember what each handle needs: a descriptor as much as its characteristic."""
        super().add_attribute(attribute)
        if isinstance(attribute, Entry):
            self._needs[attribute.handle] = attribute.level
            for place, _ in enumerate(attribute.descriptors, attribute.handle + 1):
                self._needs[place] = attribute.level

    def on_gatt_pdu(self, bearer: Any, att_pdu: att.ATT_PDU) -> None:
        """One PDU from the peer; what is not allowed is answered here."""
        code = self._problem(bearer, att_pdu)
        if code is None:
            super().on_gatt_pdu(bearer, att_pdu)
            return
        self.refused += 1
        if not isinstance(att_pdu, _COMMANDS):  # commands have no answer
            handle = getattr(att_pdu, "attribute_handle", 0)
            self.send_response(bearer, att.ATT_Error_Response(att_pdu.op_code, handle, code))

    def write_cccd(self, bearer: Any, characteristic: Characteristic[Any], value: bytes) -> None:
        """A host subscribes, or takes that back. Bumble forgets it with the connection."""
        super().write_cccd(bearer, characteristic, value)
        if len(value) == CCCD_SIZE:
            self._guard.subscribed(bearer, characteristic.handle, value)

    def restore(self, connection: Connection) -> None:
        """What a bonded host had subscribed to when it was here last."""
        for handle, value in self._guard.kept_subscriptions(connection).items():
            self.subscribers.setdefault(connection, {}).setdefault(handle, value)

    def notify(self, connection: Connection, entry: Characteristic[Any], value: bytes) -> bool:
        """Send at once; False: this peer has not asked for it. Bumble's own way makes a task for each."""
        asked = self.subscribers.get(connection, {}).get(entry.handle)
        if not asked or not asked[0] & 1:
            return False
        self.send_gatt_pdu(connection, bytes(att.ATT_Handle_Value_Notification(entry.handle, value)))
        return True

    def _problem(self, connection: Connection, pdu: att.ATT_PDU) -> att.ErrorCode | None:
        writes = isinstance(pdu, _WRITES)
        if not writes and not isinstance(pdu, _READS):
            return att.ErrorCode.REQUEST_NOT_SUPPORTED if isinstance(pdu, att.ATT_Signed_Write_Command) else None
        attribute = self.get_attribute(pdu.attribute_handle)  # type: ignore[attr-defined]
        if attribute is None:
            return att.ErrorCode.INVALID_HANDLE
        allowed = att.Attribute.WRITEABLE if writes else att.Attribute.READABLE
        if not attribute.permissions & allowed:
            return att.ErrorCode.WRITE_NOT_PERMITTED if writes else att.ErrorCode.READ_NOT_PERMITTED
        if self._guard.level(connection) < self._needs.get(attribute.handle, Level.OPEN):
            return att.ErrorCode.INSUFFICIENT_AUTHENTICATION
        return None
