"""Which radio bleak drives: the operating system's, or another one that an installed package brings along.

A radio's address is ``NAME:WHERE``. NAME is an entry point of the group ``nexuslink.ble_radios``, a callable
``open_radio(where: str) -> Radio``; what WHERE means is its own business. The system's radio needs no address.
It knows neither tools nor their messages, and imports no Bluetooth code before a radio is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Protocol

from nexuslink.transport.errors import TransportError, UrlError

ENTRY_POINT_GROUP: Final = "nexuslink.ble_radios"
RADIO_VARIABLE: Final = "NEXUSLINK_BLE_RADIO"
"""Environment: the radio of every ``ble:`` address that names none."""


class Radio(Protocol):
    """What an entry point hands out. Classes for bleak's ``backend=``, and what else they want to be told."""

    scanner_backend: type[Any]
    client_backend: type[Any]
    scanner_kwargs: Mapping[str, Any]
    client_kwargs: Mapping[str, Any]

    async def close(self) -> None:
        """Let go of the radio."""


@dataclass(frozen=True, slots=True)
class Backends:
    """For ``BleakScanner(**scanner)`` and ``BleakClient(device, **client)``."""

    scanner: Mapping[str, Any] = field(default_factory=dict)
    client: Mapping[str, Any] = field(default_factory=dict)
    radio: Radio | None = None

    def watch_digits(self, told: Callable[[int], None]) -> None:
        """``told(number)``: the six digits that a person is to compare, from a radio that knows them."""
        watch = getattr(self.radio, "watch_digits", None)
        if watch is not None:
            watch(told)

    async def close(self) -> None:
        """Let go of the radio, where it is one of ours."""
        if self.radio is not None:
            await self.radio.close()


def chosen_radio(radio: str | None) -> str | None:
    """``radio`` if it is one, else the environment's, else ``None``: the operating system's."""
    return radio or os.environ.get(RADIO_VARIABLE) or None


def check_radio(radio: str) -> None:
    """Raises ``ValueError`` with one line unless there is such a kind of radio; opens nothing."""
    name, known = radio.partition(":")[0], _radios()
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = (
            f"did you mean {close[0]}:?" if close
            else f"known are {', '.join(n + ':' for n in known)}" if known
            else "none is installed; without radio= the computer's own is used"
        )  # fmt: skip
        raise ValueError(f"radio={radio!r}: no radio is called {name!r}; {hint}")


def ble_backends(radio: str | None) -> Backends:
    """The backends of a radio; ``None``: the environment's choice or bleak's own. Raises `TransportError`."""
    address = chosen_radio(radio)
    if address is None:
        return Backends()
    name, _, where = address.partition(":")
    try:
        check_radio(address)
    except ValueError as error:
        raise UrlError(_line(error)) from None
    try:
        opened: Radio = _radios()[name].load()(where)
    except ValueError as error:
        raise UrlError(f"radio={address!r}: {_line(error)}") from None
    except Exception as error:  # whatever a third party's module does when it is imported or asked
        raise TransportError(
            f"the radio {address!r} cannot be used ({_line(error)}); is what it needs installed and running?"
        ) from error
    return Backends(
        {"backend": opened.scanner_backend, **opened.scanner_kwargs},
        {"backend": opened.client_backend, **opened.client_kwargs},
        opened,
    )


def _radios() -> dict[str, EntryPoint]:
    return {e.name: e for e in entry_points(group=ENTRY_POINT_GROUP)}


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
