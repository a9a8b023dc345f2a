"""Who may pair with the tool, how, and what a paired host may do.

LE Secure Connections only. The person opens a bonding window with the tool's button; while it is closed every pairing
is refused, and a host that is bonded already needs none. Bumble's security manager is mended where it would let a host
in too early or too cheaply. It knows connections and keys, and neither the table of characteristics nor the tool.
"""

from __future__ import annotations

import asyncio
import enum
import json
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bumble import smp
from bumble.device import Connection, Device
from bumble.keys import JsonKeyStore, KeyStore, MemoryKeyStore, PairingKeys
from bumble.pairing import PairingConfig, PairingDelegate

from nexus_simulator.ble.subscriptions import Subscriptions, Values

WINDOW_S = 60.0
"""How long the button keeps the bonding window open [assumption]."""
TRIES = 3
"""Failed pairings after which the window closes [assumption]."""
PASSKEY_ROUNDS = 20
"""One for each bit of the six digits."""
KEY_BYTES = 16
"""Shorter keys are refused: a peer may ask for 7 bytes otherwise."""


class Method(enum.Enum):
    """What the tool has to pair with; what happens depends on the host's side too."""

    NUMERIC = PairingDelegate.IoCapability.DISPLAY_OUTPUT_AND_YES_NO_INPUT
    """Both show six digits, the person compares them."""
    PASSKEY = PairingDelegate.IoCapability.DISPLAY_OUTPUT_ONLY
    """The tool shows six digits, the person types them into the host."""
    NOTHING = PairingDelegate.IoCapability.NO_OUTPUT_NO_INPUT
    """Nobody is sure who the other is: the link is encrypted, and not authenticated."""


class Level(enum.IntEnum):
    """How far a link can be trusted."""

    OPEN = 0
    ENCRYPTED = 1
    AUTHENTICATED = 2
    """Encrypted with the key of a pairing in which a person compared or typed the digits."""


@dataclass(frozen=True, slots=True)
class Security:
    """The tool's side of pairing."""

    method: Method = Method.NUMERIC
    passkey: int | None = None
    """Six digits that are always shown; None: others each time."""
    confirm: Callable[[int], bool] = lambda number: True
    """What the person at the tool says to the six digits of a numeric comparison."""
    window_s: float = WINDOW_S
    always_open: bool = False
    """The bonding window needs no button."""
    keys: Path | None = None
    """Where bonds are kept; None: in memory, gone with the process."""


class Guard:
    """Bonds, window, and levels of one tool. It outlives restarts of the tool."""

    def __init__(self, security: Security, serial_number: str) -> None:
        """Raises ValueError with one line for a file of keys that cannot be used."""
        self.security = security
        self.shown: int | None = None
        """The six digits that the tool shows, or showed last."""
        self.refused = 0
        """Pairings that failed or were not allowed."""
        self.bonds: KeyStore = MemoryKeyStore()
        self._closes_s = 0.0
        self._tries = 0
        self._levels: dict[int, Level] = {}
        self._returned: set[int] = set()
        if security.keys is not None:
            _check(security.keys)
            self.bonds = JsonKeyStore(serial_number, str(security.keys))
        try:
            self.subscriptions = Subscriptions(security.keys, serial_number)
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{security.keys}: subscriptions cannot be read there: {error}") from None

    @property
    def window_open(self) -> bool:
        """A new host may pair now."""
        return self.security.always_open or asyncio.get_running_loop().time() < self._closes_s

    def open_window(self) -> None:
        """The button has been pressed."""
        self._tries = 0
        self._closes_s = asyncio.get_running_loop().time() + self.security.window_s

    def close_window(self) -> None:
        """No more new hosts."""
        self._closes_s = 0.0

    async def forget(self) -> None:
        """Delete all bonds: every host has to pair again."""
        await self.bonds.delete_all()
        self.subscriptions.forget()

    def config(self, _connection: Connection) -> PairingConfig:
        """For bumble: how to pair with whoever asks."""
        return PairingConfig(
            sc=True,
            mitm=self.security.method is not Method.NOTHING,
            bonding=True,
            delegate=_Delegate(self),
            identity_address_type=PairingConfig.AddressType.RANDOM,
        )

    def level(self, connection: Connection) -> Level:
        """How far this link can be trusted now. Bumble's ``authenticated`` is True for any encrypted link."""
        return self._levels.get(connection.handle, Level.OPEN) if connection.encryption else Level.OPEN

    def key_used(self, connection: Connection, authenticated: bool, bonded: bool) -> None:
        """Encryption of this link is about to start with such a key; ``bonded``: of an earlier connection."""
        self._levels[connection.handle] = Level.AUTHENTICATED if authenticated else Level.ENCRYPTED
        if bonded:
            self._returned.add(connection.handle)
        else:  # it begins anew: what was kept of it went with its former bond
            self.subscriptions.forget(str(connection.peer_address))

    def subscribed(self, connection: Connection, handle: int, value: bytes) -> None:
        """A host has written a client configuration; that of a bonded one is kept."""
        if self.level(connection) > Level.OPEN:
            self.subscriptions.keep(str(connection.peer_address), handle, value)

    def kept_subscriptions(self, connection: Connection) -> Values:
        """What this host had, once its link is encrypted with the bond from then."""
        returned = connection.handle in self._returned and self.level(connection) > Level.OPEN
        return self.subscriptions.of(str(connection.peer_address)) if returned else {}

    def disconnected(self, handle: int) -> None:
        """Nothing of the link stays."""
        self._levels.pop(handle, None)
        self._returned.discard(handle)

    def paired(self) -> None:
        """One window, one host."""
        self.close_window()

    def failed(self) -> None:
        """A pairing has failed; somebody who guesses gets no further."""
        self.refused += 1
        self._tries += 1
        if self._tries >= TRIES:
            self.close_window()


def _check(path: Path) -> None:
    try:
        if not path.parent.is_dir():
            raise ValueError("there is no such folder")
        if path.exists() and not isinstance(json.loads(path.read_text("utf-8")), dict):
            raise ValueError("not a table of keys")
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: bonds cannot be kept there: {error}") from None


class _Delegate(PairingDelegate):
    """The person at the tool."""

    def __init__(self, guard: Guard) -> None:
        super().__init__(guard.security.method.value)
        self._guard = guard

    async def accept(self) -> bool:
        """Only while the window is open."""
        return self._guard.window_open

    async def compare_numbers(self, number: int, digits: int) -> bool:
        """Six digits on both sides."""
        self._guard.shown = number
        return self._guard.security.confirm(number)

    async def generate_passkey(self) -> int:
        """Six digits to type at the host. Not zero: bumble takes that for "none yet"."""
        fixed = self._guard.security.passkey
        return secrets.randbelow(999_999) + 1 if fixed is None else fixed

    async def display_number(self, number: int, digits: int) -> None:
        """Show them."""
        self._guard.shown = number


class StrictSession(smp.Session):
    """One pairing, as the tool takes part in it. Each override says what bumble lets through."""

    verified = False
    """The other side has proved that it knows the same key, and the person has agreed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._heard: Counter[type[smp.SMP_Command]] = Counter()

    @property
    def guard(self) -> Guard:
        """Of the tool."""
        device = self.manager.device
        assert isinstance(device, ToolDevice)
        return device.guard

    def on_smp_command(self, command: smp.SMP_Command) -> None:
        """Bumble takes every command at any time, and any number of times: a second random value, sent once the first
        answer is known, lets the sender choose the digits; and two such sides answer each other for ever."""
        kind = type(command)
        if kind is smp.SMP_Pairing_Failed_Command:
            if self._heard:
                super().on_smp_command(command)
            return
        self._heard[kind] += 1
        begun = self._heard[smp.SMP_Pairing_Request_Command] == 1
        if not begun or self._heard[kind] > self._limit(kind):
            self.send_pairing_failed(smp.ErrorCode.UNSPECIFIED_REASON)
        else:
            super().on_smp_command(command)

    def _limit(self, kind: type[smp.SMP_Command]) -> int:
        rounds = kind in (smp.SMP_Pairing_Confirm_Command, smp.SMP_Pairing_Random_Command)
        return PASSKEY_ROUNDS if rounds and self.pairing_method == smp.PairingMethod.PASSKEY else 1

    def on_smp_pairing_request_command(self, command: smp.SMP_Pairing_Request_Command) -> None:
        """Bumble falls back to legacy pairing, and to short keys, when it is asked to."""
        if not command.auth_req & smp.AuthReq.SC:
            self.send_pairing_failed(smp.ErrorCode.AUTHENTICATION_REQUIREMENTS)
        elif command.maximum_encryption_key_size < KEY_BYTES:
            self.send_pairing_failed(smp.ErrorCode.ENCRYPTION_KEY_SIZE)
        else:
            super().on_smp_pairing_request_command(command)

    def on_smp_pairing_public_key_command(self, command: smp.SMP_Pairing_Public_Key_Command) -> None:
        """Bumble accepts its own key from the peer, with which a passkey can be mirrored (CVE-2020-26558)."""
        if command.public_key_x == self.ecc_key.x[::-1]:
            self.send_pairing_failed(smp.ErrorCode.INVALID_PARAMETERS)
        else:
            super().on_smp_pairing_public_key_command(command)

    def send_pairing_dhkey_check_command(self) -> None:
        """The tool's own check goes out last, when everything else was right."""
        self.verified = True
        super().send_pairing_dhkey_check_command()

    def on_pairing_failure(self, reason: smp.ErrorCode) -> None:
        """Bumble keeps the session, and with it a key that nobody has agreed to, for the next "encrypt"."""
        if not self.completed:
            self.guard.failed()
        self.verified = False
        super().on_pairing_failure(reason)
        self._leave()

    async def on_pairing(self) -> None:
        """Keys are exchanged. Bumble would go on with this session if the host paired again."""
        if self.completed:
            return
        await super().on_pairing()
        self.guard.paired()
        self._leave()

    def _leave(self) -> None:
        """As at the end of the connection: Bumble would keep each failed session, and three listeners for it."""
        if self.manager.sessions.get(self.connection.handle) is self:
            self.on_disconnection(0)


class ToolDevice(Device):
    """Bumble's device that gives away keys only when they are due, and remembers how good they were."""

    def __init__(self, guard: Guard, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.guard = guard
        self.keystore = guard.bonds
        self.pairing_config_factory = guard.config
        self.smp_session_proxy = StrictSession

    async def get_long_term_key(self, connection_handle: int, rand: bytes, ediv: int) -> bytes | None:
        """The key to encrypt with; None refuses. From a pairing under way only once both sides have proved it."""
        connection = self.lookup_connection(connection_handle)
        if connection is None:
            return None
        session = self.smp_manager.sessions.get(connection_handle)
        if isinstance(session, StrictSession) and session.verified:
            self.guard.key_used(connection, session.pairing_method != smp.PairingMethod.JUST_WORKS, bonded=False)
            return session.ltk
        keys: PairingKeys | None = await self.guard.bonds.get(str(connection.peer_address))
        if keys is None or keys.ltk is None:
            return None
        self.guard.key_used(connection, keys.ltk.authenticated, bonded=True)
        return keys.ltk.value
