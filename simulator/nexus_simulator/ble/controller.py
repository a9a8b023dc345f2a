"""Bumble's virtual controller, mended: what a real one does and that one does not.

Each mend says why. Bumble is pinned to exactly one version, because this subclass overrides its insides. It speaks HCI
to one host and PDUs to the air; it knows nothing of GATT, of tools, or of who the host is.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bumble import controller as bumble_controller
from bumble import hci, ll
from bumble.core import PhysicalTransport

from nexus_simulator.ble.air_link import DataPdu
from nexus_simulator.ble.radio import RSSI_DBM, Advertisement

if TYPE_CHECKING:
    from nexus_simulator.ble.air_link import AirLink
    from nexus_simulator.ble.radio import Air

log = logging.getLogger(__name__)

ADVERTISING_UNIT_S = 0.625e-3
ADVERTISING_MIN_S = 0.02
"""No radio advertises more often, whatever it is told."""
ADVERTISING_JITTER_S = 0.01
"""The specification's advDelay: up to this much more, at random."""
ACL_DATA_LENGTH = 251
"""What one PDU of the air carries with data length extension; at bumble's 27 every notification is ten packets."""
ACL_PACKETS = 8
"""Packets that the controller holds for its host [assumption]."""
PUBLIC_PREFIX = "02:4E:58"
"""Locally administered: no manufacturer's."""

_NOT_HERE = (
    hci.LeFeatureMask.LL_PRIVACY
    | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
    | hci.LeFeatureMask.LE_PERIODIC_ADVERTISING
    | hci.LeFeatureMask.LE_CODED_PHY
)
_ELSEWHERE = re.compile(
    "HCI_(CREATE_CONNECTION|ACCEPT_CONN|REJECT_CONN|REMOTE_NAME|INQUIRY|SWITCH_ROLE|AUTHENTICATION|ENHANCED_"
    "|.*(PERIODIC|_BIG_|_BIG$|CIG|CIS|ISO_|LE_CS_|LE_SET_EXTENDED|LE_EXTENDED|ADVERTISING_SET|SYNCHRONOUS|SNIFF|_RATE_))"
)
"""Commands for classic Bluetooth and for what is left out here; Bumble keeps timers and futures for them."""
_numbers = itertools.count(1)


@dataclass(eq=False)
class AirConnection(bumble_controller.Connection):
    """A connection that sends through its own link, not to whoever has a fitting address.

    Bumble labels data with the sender's *random* address, so that a host connected by its public one gets a mute link.
    """

    controller: AirController
    air_link: AirLink | None = None

    def on_hci_acl_data_packet(self, packet: hci.HCI_AclDataPacket) -> None:
        """One fragment from the host. Bumble says "completed" at once, so that a host never feels a slow link."""
        item = DataPdu(packet.pb_flag != 1, packet.data)
        if self.air_link is None or not self.air_link.carry(self, item):
            self.controller.on_air_sent(self)

    def send_ll_control_pdu(self, packet: ll.ControlPdu) -> None:
        """Queued behind the data, like everything in the air."""
        if self.air_link is not None:
            self.air_link.carry(self, packet)


class _Advertiser(bumble_controller.LegacyAdvertiser):
    """Bumble takes the interval (units of 0.625 ms) for milliseconds, and has no scan response of its own."""

    def _on_timer_fired(self) -> None:
        self.send_advertising_data()
        jitter = self.controller.link.rng.uniform(0.0, ADVERTISING_JITTER_S)  # type: ignore[attr-defined]
        interval = max(ADVERTISING_MIN_S, self.advertising_interval_min * ADVERTISING_UNIT_S)
        self.timer_handle = asyncio.get_running_loop().call_later(interval + jitter, self._on_timer_fired)

    def send_advertising_data(self) -> None:
        """One advertisement, with what the scan response would be."""
        kind = hci.HCI_LE_Set_Advertising_Parameters_Command.AdvertisingType.ADV_IND
        if self.enabled and self.advertising_type == kind:
            self.controller.send_advertising_pdu(
                Advertisement(self.address, self.advertising_data[:31], scan_response=self.scan_response_data[:31])
            )


class AirController(bumble_controller.Controller):
    """One radio on one air. ``adapter``: it belongs to a host, not to a tool."""

    acl_data_packet_length = ACL_DATA_LENGTH
    le_acl_data_packet_length = ACL_DATA_LENGTH
    total_num_acl_data_packets = ACL_PACKETS
    total_num_le_acl_data_packets = ACL_PACKETS
    supported_max_tx_octets = supported_max_rx_octets = suggested_max_tx_octets = ACL_DATA_LENGTH
    # What bumble claims and does not do: Linux would use it.
    le_features = bumble_controller.Controller.le_features & ~_NOT_HERE
    supported_commands = bumble_controller.Controller.supported_commands - {
        hci.HCI_LE_SET_ADDRESS_RESOLUTION_ENABLE_COMMAND,
        hci.HCI_LE_SET_PRIVACY_MODE_COMMAND,
        hci.HCI_READ_REMOTE_VERSION_INFORMATION_COMMAND,
    }

    link: Air

    def __init__(self, name: str, air: Air, adapter: bool = False, **kwargs: Any) -> None:
        self.loop = asyncio.get_running_loop()
        number = f"{next(_numbers) & 0xFFFFFF:06X}"
        self.adapter = adapter
        self.powered = air.adapters_on or not adapter
        self.generation = 0
        """How often it was switched on: what a host knows of it is from one generation."""
        self.on_off: Callable[[], object] = lambda: None
        """Called after it was switched off, when its last events have been delivered."""
        self.rssi_dbm = float(RSSI_DBM)
        self.bad_packets = 0
        """Packets from the host that could not be carried out at all."""
        self._accepted: list[hci.Address] = []
        kwargs.setdefault("public_address", ":".join((PUBLIC_PREFIX, number[:2], number[2:4], number[4:])))
        super().__init__(name, link=air, **kwargs)
        self.le_legacy_advertiser = _Advertiser(self)

    @property
    def listens(self) -> bool:
        """It would notice an advertisement."""
        return self.powered and (self.le_scan_enable or self.pending_le_connection is not None)

    # ---- life ---------------------------------------------------------------------------------------------------
    def power(self, on: bool) -> None:
        """The radio is switched off (peers are told) or on again (as after a reset)."""
        if on or not self.powered:
            self.generation += on and not self.powered
            self.powered = on
            return
        reason = hci.HCI_ErrorCode.REMOTE_DEVICE_TERMINATED_CONNECTION_DUE_TO_POWER_OFF_ERROR
        for connection in list(self.le_connections.values()):
            connection.send_ll_control_pdu(ll.TerminateInd(reason))
            self.on_le_disconnected(connection, reason)
        self._cancel_connecting()
        self._forget()
        self.powered = False
        self.loop.call_soon(self.on_off)

    def vanish(self) -> None:
        """Gone without a word: power cut, crash, pulled out."""
        for connection in list(self.le_connections.values()):
            del self.le_connections[connection.peer_address]
            if isinstance(connection, AirConnection) and connection.air_link is not None:
                connection.air_link.vanish(connection)
        self._forget()

    def remove(self) -> None:
        """Vanish for good."""
        self.vanish()
        self.host = None
        self.link.remove_controller(self)

    def _forget(self) -> None:
        self.le_legacy_advertiser.stop()
        self.le_legacy_advertiser = _Advertiser(self)
        self.le_scan_enable = False
        self.pending_le_connection = None
        self._accepted.clear()

    def on_hci_reset_command(self, _command: hci.HCI_Reset_Command) -> hci.HCI_StatusReturnParameters:
        """Bumble keeps everything: the tool stays connected to a host that has crashed, and never advertises again."""
        self.vanish()
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    # ---- packets from the host ----------------------------------------------------------------------------------
    def on_packet(self, packet: bytes) -> None:
        """Any bytes. Bumble raises on what it cannot parse, into whatever carries HCI."""
        if self.host is None:  # it has been removed, and must not begin to advertise now
            return
        try:
            super().on_packet(packet)
        except Exception as error:  # bumble's parsers raise almost anything
            self.bad_packets += 1
            log.debug("%s: a packet from the host could not be carried out: %r", self.name, error)

    def on_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """From the host; data without the log that `QuietHost` is without, too."""
        if isinstance(packet, hci.HCI_AclDataPacket):
            self.on_hci_acl_data_packet(packet)
        else:
            super().on_hci_packet(packet)

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        """To the host, without a log."""
        if self.host is not None:
            self.loop.call_soon(self.host.on_packet, bytes(packet))

    def on_hci_command_packet(self, command: hci.HCI_Command) -> None:
        """While it is off every command fails."""
        if _ELSEWHERE.match(command.name):
            self._refuse(command, hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR)
        elif self.powered:
            super().on_hci_command_packet(command)
        else:
            self._refuse(command, hci.HCI_ErrorCode.HARDWARE_FAILURE_ERROR)

    def _refuse(self, command: hci.HCI_Command, status: hci.HCI_ErrorCode) -> None:
        if isinstance(command, hci.HCI_SyncCommand):
            failed = hci.HCI_StatusReturnParameters(status)
            self.send_hci_packet(hci.HCI_Command_Complete_Event(1, command.op_code, failed))
        else:
            self._send_hci_command_status(status, command.op_code)

    def on_hci_command(self, command: hci.HCI_Command) -> hci.HCI_StatusReturnParameters | None:  # type: ignore[override]
        """A command that it does not know: bumble leaves all but "sync" ones without any answer, and the host waits."""
        if isinstance(command, hci.HCI_SyncCommand):
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR)
        self._send_hci_command_status(hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR, command.op_code)
        return None

    # ---- advertising and scanning -------------------------------------------------------------------------------
    def on_advertising_pdu(self, pdu: ll.AdvInd | ll.AdvExtInd) -> None:
        """Report it, and connect if that is wanted. Bumble repeats the advertisement as its own scan response."""
        if not isinstance(pdu, Advertisement) or not self.powered:
            return
        if self.le_scan_enable:
            kind = hci.HCI_LE_Advertising_Report_Event.EventType
            parts = [(kind.ADV_IND, pdu.data)]
            if self.le_scan_type == hci.HCI_LE_Set_Scan_Parameters_Command.ACTIVE_SCANNING:
                parts.append((kind.SCAN_RSP, pdu.scan_response))
            for event_type, data in parts:
                report = hci.HCI_LE_Advertising_Report_Event.Report(
                    event_type=event_type,
                    address_type=pdu.advertiser_address.address_type,
                    address=pdu.advertiser_address,
                    data=data,
                    rssi=pdu.rssi,
                )
                self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))
        pending = self.pending_le_connection
        if pending is not None:
            anyone = pending.initiator_filter_policy == 1
            wanted = self._accepted if anyone else [pending.peer_address]
            if pdu.advertiser_address in wanted:
                self.create_le_connection(pdu.advertiser_address)

    def on_hci_le_clear_filter_accept_list_command(self, command: Any) -> hci.HCI_StatusReturnParameters:
        """Bumble accepts the list's commands and keeps no list."""
        self._accepted.clear()
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_le_add_device_to_filter_accept_list_command(self, command: Any) -> hci.HCI_StatusReturnParameters:
        """See above."""
        if len(self._accepted) >= self.filter_accept_list_size:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.MEMORY_CAPACITY_EXCEEDED_ERROR)
        self._accepted.append(command.address)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_le_remove_device_from_filter_accept_list_command(self, command: Any) -> hci.HCI_StatusReturnParameters:
        """See above."""
        self._accepted = [address for address in self._accepted if address != command.address]
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    # ---- connections --------------------------------------------------------------------------------------------
    def create_le_connection(self, peer_address: hci.Address) -> None:
        """The advertisement that was waited for has come."""
        pending = self.pending_le_connection
        assert isinstance(pending, hci.HCI_LE_Create_Connection_Command)
        if peer_address in self.le_connections:
            return
        self.pending_le_connection = None
        public = pending.own_address_type == hci.OwnAddressType.PUBLIC
        own = self.public_address if public else self.random_address
        connection = self._connection(hci.Role.CENTRAL, own, peer_address)
        request = ll.ConnectInd(
            initiator_address=own,
            advertiser_address=peer_address,
            interval=self.link.chosen_interval(pending.connection_interval_min),
            latency=pending.max_latency,
            timeout=max(10, pending.supervision_timeout),
        )
        self._report_connection(connection, request)
        self.link.connect(connection, request)

    def on_connect_request(self, request: ll.ConnectInd) -> AirConnection | None:
        """A central wants to connect; None: not to this one, or it does not advertise.

        Bumble tells the peripheral's host made-up parameters: interval 12.5 ms, time-out 100 ms.
        """
        advertiser = self.le_legacy_advertiser
        if not self.powered or not advertiser.enabled or advertiser.address != request.advertiser_address:
            return None
        if request.initiator_address in self.le_connections:
            return None
        advertiser.stop()
        connection = self._connection(hci.Role.PERIPHERAL, request.advertiser_address, request.initiator_address)
        self._report_connection(connection, request)
        return connection

    def _connection(self, role: hci.Role, own: hci.Address, peer: hci.Address) -> AirConnection:
        connection = AirConnection(
            controller=self,
            handle=self.allocate_connection_handle(),
            role=role,
            self_address=own,
            peer_address=peer,
            link=self.link,
            transport=PhysicalTransport.LE,
            link_type=hci.HCI_Connection_Complete_Event.LinkType.ACL,
        )
        self.le_connections[peer] = connection
        return connection

    def _report_connection(self, connection: AirConnection, request: ll.ConnectInd) -> None:
        self._connection_complete(
            hci.HCI_ErrorCode.SUCCESS,
            connection.handle,
            connection.role,
            connection.peer_address,
            (request.interval, request.latency, request.timeout),
        )

    def _connection_complete(
        self, status: int, handle: int, role: hci.Role, peer: hci.Address, parameters: tuple[int, int, int]
    ) -> None:
        self.send_hci_packet(
            hci.HCI_LE_Connection_Complete_Event(
                status=status,
                connection_handle=handle,
                role=role,
                peer_address_type=peer.address_type,
                peer_address=peer,
                connection_interval=parameters[0],
                peripheral_latency=parameters[1],
                supervision_timeout=parameters[2],
                central_clock_accuracy=0,
            )
        )

    def on_hci_le_create_connection_cancel_command(self, _command: Any) -> hci.HCI_StatusReturnParameters:
        """Bumble says yes and goes on connecting."""
        if self.pending_le_connection is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.loop.call_soon(self._cancel_connecting)  # its event comes after the command's answer
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def _cancel_connecting(self) -> None:
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is not None:
            status = hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
            self._connection_complete(status, 0, hci.Role.CENTRAL, pending.peer_address, (0, 0, 0))

    def on_hci_disconnect_command(self, command: hci.HCI_Disconnect_Command) -> None:
        """Bumble leaves an unknown handle without an answer, and blames the peer for what the host has done."""
        connection = self.find_le_connection_by_handle(command.connection_handle)
        if connection is None:
            status = hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
            self._send_hci_command_status(status, command.op_code)
            return
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        connection.send_ll_control_pdu(ll.TerminateInd(command.reason))
        self.on_le_disconnected(connection, hci.HCI_ErrorCode.CONNECTION_TERMINATED_BY_LOCAL_HOST_ERROR)

    def on_le_disconnected(self, connection: bumble_controller.Connection, reason: int) -> None:
        """The connection has ended, here or there."""
        if self.le_connections.get(connection.peer_address) is not connection:
            return  # both ended it at the same time
        super().on_le_disconnected(connection, reason)
        if isinstance(connection, AirConnection) and connection.air_link is not None:
            connection.air_link.left(connection)

    def on_hci_le_connection_update_command(self, command: hci.HCI_LE_Connection_Update_Command) -> None:
        """Other parameters, from a connection event on. Bumble changes nothing and reports at once."""
        connection = self.find_le_connection_by_handle(command.connection_handle)
        if connection is None:
            status = hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR
            self._send_hci_command_status(status, command.op_code)
            return
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        connection.send_ll_control_pdu(
            ll.ConnectionUpdateInd(
                interval=self.link.chosen_interval(command.connection_interval_min),
                latency=command.max_latency,
                timeout=max(10, command.supervision_timeout),
            )
        )

    def on_hci_le_set_data_length_command(self, command: Any) -> hci.HCI_StatusAndConnectionHandleReturnParameters:
        """Always the longest; Bumble claims the command and does not know it."""
        return hci.HCI_StatusAndConnectionHandleReturnParameters(
            status=hci.HCI_ErrorCode.SUCCESS, connection_handle=command.connection_handle
        )

    # ---- what the air tells -------------------------------------------------------------------------------------
    def on_air_data(self, connection: AirConnection, begins: bool, data: bytes) -> None:
        """A fragment has arrived."""
        self.send_hci_packet(hci.HCI_AclDataPacket(connection.handle, 2 if begins else 1, 0, len(data), data))

    def on_air_sent(self, connection: AirConnection) -> None:
        """A fragment of the host's has left: the host may send another one."""
        self.send_hci_packet(
            hci.HCI_Number_Of_Completed_Packets_Event(connection_handles=[connection.handle], num_completed_packets=[1])
        )

    def on_updated(self, connection: AirConnection, update: ll.ConnectionUpdateInd) -> None:
        """The parameters that this side has asked for are in force."""
        self.send_hci_packet(
            hci.HCI_LE_Connection_Update_Complete_Event(
                status=hci.HCI_ErrorCode.SUCCESS,
                connection_handle=connection.handle,
                connection_interval=update.interval,
                peripheral_latency=update.latency,
                supervision_timeout=update.timeout,
            )
        )
