"""What has failed, in this program's words: one table from every platform's errors to a named error and the next step.

Bluetooth fails differently on BlueZ, Windows, macOS and other radios, and bleak passes most of it on as it comes. An
error's *signature* is its type, its codes by name and its text; the first row of `ROWS` whose pattern is found in it
tells. Texts that Windows translates are never asked for, only its numbers. Nothing of bleak is imported.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from enum import Enum
from typing import Final

from nexuslink.transport.errors import (
    KeyDoubtError,
    KeyLostError,
    LinkLostError,
    NoRadioError,
    NotANexusError,
    OutOfReachError,
    PairingError,
    RadioBusyError,
    RadioDeniedError,
    RadioError,
    RadioOffError,
    RadioServiceError,
    ToolTakenError,
    TransportError,
)


class Step(Enum):
    """What was being done, as the sentence has it."""

    SCAN = "looking for tools"
    CONNECT = "connecting"
    SUBSCRIBE = "subscribing"
    WRITE = "sending"


@dataclass(frozen=True, slots=True)
class Row:
    """``pattern``: regular expression, searched in an error's signature; ``words``: what is wrong, and what to do."""

    pattern: str
    kind: type[TransportError]
    words: str


_PERMISSION: Final = {
    "darwin": "allow it in System Settings, Privacy & Security, Bluetooth, for the program or terminal that runs this",
    "win32": "allow it in Settings, Privacy & security, Radios",
    "linux": "add yourself to the group `bluetooth` and log in again; in a container let it reach the system bus",
}
_PAIRED_LIST: Final = {
    "darwin": "System Settings, Bluetooth",
    "win32": "Settings, Bluetooth & devices",
    "linux": "the Bluetooth settings (or `bluetoothctl`)",
}
PERMISSION: Final = _PERMISSION.get(sys.platform, _PERMISSION["linux"])
_ALSO: Final = {"linux": " and by `nexuslink tools forget`"}
SETTINGS: Final = _PAIRED_LIST.get(sys.platform, _PAIRED_LIST["linux"])
BUTTON: Final = f"press the tool's button, connect again, and confirm the six digits in {SETTINGS}"
NEAR: Final = "is the tool on, near, and not connected to another computer or program?"
REMOVE: Final = f"remove it in {SETTINGS}{_ALSO.get(sys.platform, '')}"
FORGOTTEN: Final = f"the tool no longer knows this computer; {REMOVE}, then {BUTTON}"
DOUBTED: Final = (
    "the link ended before the key of this computer was accepted; if that happens again while the tool is near, it has "
    f"another key or none: {REMOVE}, and pair it again"
)
LET_IN: Final = f"the tool does not let this computer in; {BUTTON}"
NO_AGENT: Final = (
    "nothing on this computer can confirm a pairing, as is usual over SSH; leave `bluetoothctl` open in another "
    "terminal, with `agent on` typed there, or pair once in a desktop's Bluetooth settings; then connect again"
)
_RESTART: Final = "`sudo systemctl restart bluetooth`, then try again"

ROWS: Final = (
    # this computer's Bluetooth
    Row(r"\bPOWERED_OFF\b|org\.bluez\.Error\.NotReady|WinError -2147020577", RadioOffError,
        "Bluetooth is off on this computer; switch it on"),
    Row(r"\bno virtual radio at\b", NoRadioError,
        "nothing answers at the virtual radio's address; is `nexuslink sim serve --ble` running there?"),
    Row(r"\bNO_BLUETOOTH\b|adapter '[^']*' not found", NoRadioError,
        "this computer has no Bluetooth adapter; plug one in, or connect the tool by its cable"),
    Row(r"\bNO_BLE_CENTRAL_ROLE\b", NoRadioError,
        "this computer's Bluetooth adapter cannot connect to tools; plug in another, or use the tool's cable"),
    Row(r"\bDENIED_BY_\w+|DBus\.Error\.(AccessDenied|AuthFailed)|AuthError|PermissionError", RadioDeniedError,
        f"this program may not use Bluetooth; {PERMISSION}"),
    Row(r"DBus\.Error\.(ServiceUnknown|NameHasNoOwner|Spawn\.)", RadioServiceError,
        f"the Bluetooth service (BlueZ) does not run; {_RESTART}"),
    Row(r"requires BlueZ", RadioServiceError, "the Bluetooth service (BlueZ) is older than 5.55; update it"),
    Row(r"DBus\.Error\.(NoReply|Disconnected|TimedOut|Timeout)|\bEOFError\b", RadioServiceError,
        f"the Bluetooth service (BlueZ) does not answer any more; {_RESTART}"),
    Row(r"FileNotFoundError|ConnectionRefusedError|DBUS_SYSTEM_BUS_ADDRESS|InvalidAddressError", RadioServiceError,
        "there is no system bus, so no Bluetooth service (BlueZ) can be reached; start D-Bus and BlueZ"),
    Row(r"BluetoothNotAvailableError.*\bUNKNOWN\b|Is Bluetooth turned on", RadioError,
        "Bluetooth is not ready; wait a moment, or switch it off and on"),
    Row(r"org\.bluez\.Error\.InProgress|le-connection-busy", RadioBusyError,
        "Bluetooth is still busy, with the end of another connection or for another program; try again in a moment"),
    # somebody else has the tool
    Row(r"(?i)notify acquired|write acquired|AlreadyConnected", ToolTakenError,
        "another program on this computer uses the tool; close it first"),
    # trust
    Row(r"(?i)peer removed pairing|key[ _]missing", KeyLostError, FORGOTTEN),
    Row(r"(?i)failed to encrypt|timed out on encryption", KeyDoubtError, DOUBTED),
    Row(r"\bATT 0x(05|08|0c|0f)\b|org\.bluez\.Error\.(Authentication\w+|NotAuthorized|NotPermitted)|Access Denied"
        r"|(?i:could not pair|trying to pair|pairing|(authentication|encryption|authorization) is insufficient)",
        PairingError, LET_IN),
    # the tool's table
    Row(r"CharacteristicNotFound|\bATT 0x(01|0a|12)\b|Service Discovery has not been", NotANexusError,
        f"its table is not the one that this computer remembers; remove the tool in {SETTINGS} and pair it again"),
    Row(r"\bATT 0x(06|10|fd)\b|Not(ify|ification)?s? ?(not )?[Ss]upported|does not support notif", NotANexusError,
        "it cannot send notifications as a Nexus does; is this a Nexus? update its firmware"),
    Row(r"\bATT 0x0d\b", TransportError, "the tool does not take a message of this length; update its firmware"),
    # the way there
    Row(r"(?i)BleakDeviceNotFound|DBus\.Error\.UnknownObject|org\.bluez\.Error\.DoesNotExist|device '[^']*' not found"
        r"|Unreachable|le-connection-abort|ConnectionAttemptFailed|page timeout|host is down|timed? ?out"
        r"|failed to connect|cannot be connected|failed to be established", OutOfReachError,
        f"it cannot be reached; {NEAR}"),
    Row(r"(?i)not connected|disconnected|connection terminated|CancelledError", LinkLostError,
        "the connection has ended; is the tool on, and within reach?"),
)  # fmt: skip
"""First match counts."""

_LATE: Final = {
    Step.SCAN: (RadioError, "this computer's Bluetooth does not answer within {s:g} s; switch it off and on"),
    Step.CONNECT: (OutOfReachError, f"no connection within {{s:g}} s; {NEAR}"),
    Step.SUBSCRIBE: (PairingError, f"the tool did not let this computer in within {{s:g}} s; {BUTTON}"),
    Step.WRITE: (LinkLostError, "the tool took nothing for {s:g} s; is it within reach?"),
}  # fmt: skip
_TEXT_MAX: Final = 160


def ble_error(name: str, step: Step, error: BaseException) -> TransportError:
    """The error that says in this program's words what bleak, or the system below it, has raised."""
    if isinstance(error, TransportError):
        return error
    text = signature(error)
    for row in ROWS:
        if re.search(row.pattern, text):
            return row.kind(f"{name}: {row.words}")
    kind = LinkLostError if step is Step.WRITE else TransportError
    return kind(f"{name}: Bluetooth failed while {step.value} ({one_line(text)}); try again, or switch it off and on")


def too_late(name: str, step: Step, seconds: float) -> TransportError:
    """The error for a step that has had its time."""
    kind, words = _LATE[step]
    return kind(f"{name}: {words.format(s=seconds)}")


def signature(error: BaseException) -> str:
    """Type, codes by name, text."""
    parts = [type(error).__name__]
    reason, code = getattr(error, "reason", None), getattr(error, "code", None)
    if isinstance(reason, Enum):
        parts.append(reason.name)
    if isinstance(code, int):
        parts.append(f"ATT 0x{code:02x}")
    try:
        parts.append(str(error))
    except Exception:  # bleak's D-Bus errors parse text that the service has sent
        parts.append(" ".join(str(a) for a in error.args))
    return " ".join(parts)


def one_line(text: str) -> str:
    """Whatever a system has said, fit for a sentence: printable, on one line, not too long."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _TEXT_MAX else text[:_TEXT_MAX] + "…"
