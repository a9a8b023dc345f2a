"""Every platform's errors, as bleak raises them, become a named error and one line with the next step."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
    BleakGATTProtocolError,
)

from nexuslink.transport.ble_words import PERMISSION, ROWS, SETTINGS, Step, ble_error, signature, too_late
from nexuslink.transport.errors import (
    KeyDoubtError,
    KeyLostError,
    LinkLostError,
    NoRadioError,
    NotANexusError,
    OutOfReachError,
    PairingError,
    PortNotFoundError,
    RadioBusyError,
    RadioDeniedError,
    RadioError,
    RadioOffError,
    RadioServiceError,
    ToolTakenError,
    TransportError,
)

URL = "ble://NX-000123"
REASONS = BleakBluetoothNotAvailableReason


def unavailable(reason: BleakBluetoothNotAvailableReason) -> BleakError:
    return BleakBluetoothNotAvailableError("whatever the system says", reason)


def dbus(name: str, *body: str) -> BleakError:
    return BleakDBusError(name, list(body))


RAISED: list[tuple[BaseException, type[TransportError], str]] = [
    # what the platforms raise                                                              what it is, and what to do
    (unavailable(REASONS.POWERED_OFF), RadioOffError, "switch it on"),
    (dbus("org.bluez.Error.NotReady", "Resource Not Ready"), RadioOffError, "switch it on"),
    (OSError("[WinError -2147020577] The device is not ready for use"), RadioOffError, "switch it on"),
    (unavailable(REASONS.NO_BLUETOOTH), NoRadioError, "plug one in"),
    (
        BleakBluetoothNotAvailableError("no virtual radio at tcp-client:127.0.0.1:9: refused", REASONS.NO_BLUETOOTH),
        NoRadioError,
        "is `nexuslink sim serve --ble` running there?",
    ),
    (BleakError("adapter 'hci0' not found"), NoRadioError, "plug one in"),
    (unavailable(REASONS.NO_BLE_CENTRAL_ROLE), NoRadioError, "plug in another"),
    (unavailable(REASONS.DENIED_BY_USER), RadioDeniedError, PERMISSION),
    (unavailable(REASONS.DENIED_BY_SYSTEM), RadioDeniedError, PERMISSION),
    (unavailable(REASONS.DENIED_BY_UNKNOWN), RadioDeniedError, PERMISSION),
    (dbus("org.freedesktop.DBus.Error.AccessDenied", "Rejected send message"), RadioDeniedError, PERMISSION),
    (PermissionError(13, "Permission denied"), RadioDeniedError, PERMISSION),
    (unavailable(REASONS.UNKNOWN), RadioError, "switch it off and on"),
    (BleakError("Failed to start scanner. Is Bluetooth turned on?"), RadioError, "switch it off and on"),
    (dbus("org.bluez.Error.InProgress", "Operation already in progress"), RadioBusyError, "try again"),
    (dbus("org.bluez.Error.Failed", "le-connection-busy"), RadioBusyError, "with the end of another connection"),
    (dbus("org.freedesktop.DBus.Error.ServiceUnknown", "org.bluez was not provided"), RadioServiceError, "systemctl"),
    (dbus("org.freedesktop.DBus.Error.NameHasNoOwner", "no owner"), RadioServiceError, "systemctl"),
    (dbus("org.freedesktop.DBus.Error.NoReply", "Remote peer disconnected"), RadioServiceError, "systemctl"),
    (FileNotFoundError(2, "No such file or directory"), RadioServiceError, "start D-Bus and BlueZ"),
    (ConnectionRefusedError(111, "Connection refused"), RadioServiceError, "start D-Bus and BlueZ"),
    (EOFError(), RadioServiceError, "systemctl"),
    (BleakError("Bleak requires BlueZ >= 5.55."), RadioServiceError, "update it"),
    (dbus("org.bluez.Error.NotPermitted", "Notify acquired"), ToolTakenError, "another program"),
    (dbus("org.bluez.Error.AlreadyConnected", "Already Connected"), ToolTakenError, "another program"),
    (BleakError("Peer removed pairing information"), KeyLostError, f"remove it in {SETTINGS}"),
    (BleakError("HCI_Error(PIN_OR_KEY_MISSING_ERROR)"), KeyLostError, f"remove it in {SETTINGS}"),
    (
        BleakError("failed to connect: Failed to encrypt the connection, the connection has timed out unexpectedly."),
        KeyDoubtError,
        f"another key or none: remove it in {SETTINGS}",
    ),
    (BleakGATTProtocolError(0x05), PairingError, "press the tool's button"),
    (BleakGATTProtocolError(0x08), PairingError, "press the tool's button"),
    (BleakGATTProtocolError(0x0C), PairingError, "press the tool's button"),
    (BleakGATTProtocolError(0x0F), PairingError, "press the tool's button"),
    (dbus("org.bluez.Error.NotPermitted", "Not paired"), PairingError, "press the tool's button"),
    (dbus("org.bluez.Error.AuthenticationFailed", "Authentication Failed"), PairingError, "press the tool's button"),
    (dbus("org.bluez.Error.AuthenticationTimeout"), PairingError, "press the tool's button"),
    (dbus("org.bluez.Error.AuthenticationRejected"), PairingError, "press the tool's button"),
    (BleakError("Could not start notify on 0012: Access Denied"), PairingError, "press the tool's button"),
    (BleakError("Could not pair with device: REJECTED_BY_HANDLER"), PairingError, "press the tool's button"),
    (BleakError("Failed to update the notification status: Encryption is insufficient."), PairingError, "button"),
    (BleakCharacteristicNotFoundError("4e58"), NotANexusError, "pair it again"),
    (BleakGATTProtocolError(0x01), NotANexusError, "pair it again"),
    (BleakGATTProtocolError(0x12), NotANexusError, "pair it again"),
    (BleakError("Service Discovery has not been performed yet"), NotANexusError, "pair it again"),
    (BleakGATTProtocolError(0x06), NotANexusError, "is this a Nexus?"),
    (BleakError("characteristic does not support notifications or indications"), NotANexusError, "is this a Nexus?"),
    (BleakGATTProtocolError(0x0D), TransportError, "update its firmware"),
    (BleakDeviceNotFoundError("AA", "Device with address AA was not found."), OutOfReachError, "is the tool on, near"),
    (dbus("org.freedesktop.DBus.Error.UnknownObject", "no such object"), OutOfReachError, "is the tool on, near"),
    (dbus("org.bluez.Error.Failed", "le-connection-abort-by-local"), OutOfReachError, "is the tool on, near"),
    (dbus("org.bluez.Error.Failed", "Page Timeout"), OutOfReachError, "is the tool on, near"),
    (BleakError("Could not get GATT services: Unreachable"), OutOfReachError, "is the tool on, near"),
    (BleakError("failed to connect: The connection has timed out unexpectedly."), OutOfReachError, "is the tool on"),
    (BleakError("Not connected"), LinkLostError, "within reach"),
    (BleakError("failed to discover services, device disconnected"), LinkLostError, "within reach"),
    (asyncio.CancelledError(), LinkLostError, "within reach"),
    (BleakError("something that nobody has seen"), TransportError, "something that nobody has seen"),
    (dbus("org.bluez.Error.Failed", "ATT error: 0xZZ"), TransportError, "try again"),
    (ValueError("a\nb\x07" + "c" * 999), TransportError, "switch it off and on"),
]


@pytest.mark.parametrize(("error", "kind", "next_step"), RAISED, ids=lambda v: None)
def test_what_it_becomes(error: BaseException, kind: type[TransportError], next_step: str) -> None:
    made = ble_error(URL, Step.CONNECT, error)
    assert type(made) is kind, made
    text = str(made)
    assert text.startswith(f"{URL}: ") and next_step in text
    assert text.isprintable() and len(text) < 340


def test_every_row_is_reached() -> None:
    """Negative control: a row that no error reaches says nothing."""
    reached = {str(ble_error(URL, Step.CONNECT, error)) for error, _, _ in RAISED}
    assert {f"{URL}: {row.words}" for row in ROWS} <= reached


def test_our_own_errors_pass() -> None:
    mine = LinkLostError("mine")
    assert ble_error(URL, Step.WRITE, mine) is mine


def test_an_unknown_error_while_writing_ends_the_link() -> None:
    assert type(ble_error(URL, Step.WRITE, BleakError("?"))) is LinkLostError


def test_being_late() -> None:
    kinds = {step: type(too_late(URL, step, 1.5)) for step in Step}
    assert kinds == {
        Step.SCAN: RadioError, Step.CONNECT: OutOfReachError, Step.SUBSCRIBE: PairingError, Step.WRITE: LinkLostError,
    }  # fmt: skip
    for step in Step:
        assert "within 1.5 s" in str(too_late(URL, step, 1.5)) or "for 1.5 s" in str(too_late(URL, step, 1.5))


def test_callers_that_know_the_old_kinds_are_served() -> None:
    assert issubclass(OutOfReachError, PortNotFoundError)
    assert all(issubclass(k, RadioError) for k in (RadioOffError, NoRadioError, RadioDeniedError, RadioServiceError))


def test_a_signature_never_fails() -> None:
    class OddError(Exception):
        code, reason = "x", 5

        def __str__(self) -> str:
            raise RuntimeError

    for error, step in itertools.product((OddError(), OddError(1, None), BleakDBusError("x", [])), Step):
        assert signature(error)
        assert len(str(ble_error(URL, step, error)).splitlines()) == 1
