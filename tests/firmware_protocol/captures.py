"""Capture files, written byte by byte: TCP over Ethernet; Bluetooth LE as a host sees it (HCI H4 with direction) and as
a sniffer does (link layer).

Sources: libpcap file format; RFC 791 and 9293; Bluetooth Core 5.4, Vol 4 Part E (HCI), Vol 6 Part B (link layer), Vol 3
Part A (L2CAP) and F (ATT).
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterable
from pathlib import Path

ETHERNET, HCI_H4, LE_LL = 1, 201, 251
PORT, HOST_PORT = 4810, 50000
CONTROL_HANDLE, STREAM_HANDLE = 0x0015, 0x0012


def write(path: Path, link_type: int, packets: Iterable[bytes]) -> None:
    """A pcap file; packets come a millisecond apart."""
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link_type))
        for n, packet in enumerate(packets):
            file.write(struct.pack("<IIII", 1_700_000_000 + n // 1000, n % 1000 * 1000, len(packet), len(packet)))
            file.write(packet)


class Tcp:
    """One connection as packets; ``send`` adds a segment."""

    def __init__(self, port: int = PORT, host_port: int = HOST_PORT) -> None:
        self.packets: list[bytes] = []
        self._port, self._host_port = port, host_port
        self._next = {True: 1000, False: 2000}
        self._segment(False, b"", 0x02)
        self._segment(True, b"", 0x12)

    def send(self, data: bytes, from_tool: bool = True) -> None:
        """One segment."""
        self._segment(from_tool, data, 0x18)

    def _segment(self, from_tool: bool, data: bytes, flags: int) -> None:
        ports = (self._port, self._host_port) if from_tool else (self._host_port, self._port)
        numbers = (self._next[from_tool], self._next[not from_tool])
        tcp = struct.pack(">HHIIBBHHH", *ports, *numbers, 0x50, flags, 8192, 0, 0)
        addresses = bytes([10, 0, 0, 1, 10, 0, 0, 2] if from_tool else [10, 0, 0, 2, 10, 0, 0, 1])
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp) + len(data), 0, 0, 64, 6, 0) + addresses
        self.packets.append(bytes(12) + b"\x08\x00" + ip + tcp + data)
        self._next[from_tool] += len(data) + bool(flags & 2)


class Ble:
    """One connection as HCI packets; ``discover`` makes the handles known, as a host does."""

    LINK_TYPE = HCI_H4

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        peer = bytes.fromhex("060504030201")
        complete = struct.pack("<BBHBB6sHHHB", 1, 0, 0x0040, 0, 0, peer, 24, 0, 400, 0)
        self.packets.append(struct.pack(">I", 1) + bytes([0x04, 0x3E, len(complete)]) + complete)

    def att(self, pdu: bytes, from_tool: bool) -> None:
        """One ATT PDU on the fixed channel."""
        l2cap = struct.pack("<HH", len(pdu), 4) + pdu
        acl = struct.pack("<HH", 0x0040 | (0x2000 if from_tool else 0), len(l2cap)) + l2cap
        self.packets.append(struct.pack(">I", from_tool) + b"\x02" + acl)

    def discover(self, service: str, stream: str, control: str) -> None:
        """The host asks for services and characteristics."""
        self.att(struct.pack("<BHHH", 0x10, 1, 0xFFFF, 0x2800), False)
        self.att(struct.pack("<BBHH", 0x11, 20, 0x0010, 0x001F) + _uuid(service), True)
        self.att(struct.pack("<BHHH", 0x08, 0x0010, 0x001F, 0x2803), False)
        rows = [(0x0011, 0x10, STREAM_HANDLE, stream), (0x0014, 0x18, CONTROL_HANDLE, control)]
        body = b"".join(struct.pack("<HBH", at, flags, handle) + _uuid(name) for at, flags, handle, name in rows)
        self.att(struct.pack("<BB", 0x09, 21) + body, True)

    def notify(self, handle: int, message: bytes) -> None:
        """A message from the tool."""
        self.att(struct.pack("<BH", 0x1B, handle) + message, True)

    def request(self, message: bytes) -> None:
        """A message from the host."""
        self.att(struct.pack("<BH", 0x12, CONTROL_HANDLE) + message, False)


class Sniffed(Ble):
    """The same from the air: data channel PDUs, the CRC left at zero."""

    LINK_TYPE = LE_LL

    def __init__(self) -> None:
        self.packets: list[bytes] = []

    def att(self, pdu: bytes, from_tool: bool) -> None:
        """One ATT PDU in one data channel PDU; which way it goes cannot be seen."""
        l2cap = struct.pack("<HH", len(pdu), 4) + pdu
        self.packets.append(struct.pack("<IBB", 0x12345678, 2, len(l2cap)) + l2cap + bytes(3))


def _uuid(text: str) -> bytes:
    return uuid.UUID(text).bytes[::-1]
