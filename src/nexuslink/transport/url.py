"""One grammar for every way to reach a tool.

    url    = scheme ":" [ "//" ] target [ "?" name "=" value *( "&" name "=" value ) ]

    serial:/dev/ttyACM0      serial:COM3?baud=115200      tcp:192.168.1.5:4810      ble://NX-000123      ble:
    sim:?script=good-psoas&speed=max

Names and values are percent-decoded. A scheme is one of the table below or an entry point of the group
``nexuslink.transports``: a callable ``(target: str, params: Mapping[str, str]) -> Transport`` that opens nothing
and raises ``ValueError`` with one line for what it cannot use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Final
from urllib.parse import unquote

from nexuslink.transport.base import Transport
from nexuslink.transport.errors import TransportError, UrlError

ENTRY_POINT_GROUP: Final = "nexuslink.transports"
BUILT_IN: Final = {
    "serial": "nexuslink.transport.serial:open_serial",
    "tcp": "nexuslink.transport.tcp:open_tcp",
    "ble": "nexuslink.transport.ble:open_ble",
}
"""Scheme -> module:factory, imported when used."""

Factory = Callable[[str, Mapping[str, str]], Transport]


@dataclass(frozen=True, slots=True)
class TransportUrl:
    """A parsed URL."""

    text: str
    scheme: str
    target: str
    params: Mapping[str, str]


def parse_url(text: str) -> TransportUrl:
    """The parts of a URL. Raises `UrlError`."""
    scheme, colon, rest = text.strip().partition(":")
    if not colon or not scheme:
        raise UrlError(
            f"{text!r} is not a tool's address: write scheme:target, for example serial:/dev/ttyACM0 or sim:"
        )
    if not unquote(text.strip()).isprintable():  # it would break the one line of every later message
        raise UrlError(f"{text!r} has a line break or another control character in it")
    target, _, query = rest.removeprefix("//").partition("?")
    params: dict[str, str] = {}
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UrlError(f"{text!r}: {pair!r} is not name=value")
        if unquote(name) in params:
            raise UrlError(f"{text!r}: {unquote(name)!r} is given twice")
        params[unquote(name)] = unquote(value)
    return TransportUrl(text.strip(), scheme.lower(), unquote(target), params)


def _plugins() -> dict[str, EntryPoint]:
    return {e.name: e for e in entry_points(group=ENTRY_POINT_GROUP)}


def schemes() -> list[str]:
    """Every scheme that this installation knows, built-in ones first."""
    return [*BUILT_IN, *sorted(_plugins().keys() - BUILT_IN.keys())]


def make_transport(text: str) -> Transport:
    """The transport for a URL, not yet open. Raises `UrlError`."""
    url = parse_url(text)
    factory: Factory
    if url.scheme in BUILT_IN:
        module, name = BUILT_IN[url.scheme].split(":")
        factory = getattr(import_module(module), name)
    elif (plugin := _plugins().get(url.scheme)) is not None:
        factory = _loaded(text, plugin)
    else:
        known = schemes()
        close = get_close_matches(url.scheme, known, n=1)
        hint = f"did you mean {close[0]}: ?" if close else f"known are {', '.join(s + ':' for s in known)}"
        raise UrlError(f"{text!r}: no transport is called {url.scheme!r}; {hint}")
    try:
        return factory(url.target, url.params)
    except ValueError as error:
        raise UrlError(f"{text!r}: {_line(error)}") from None
    except OSError as error:  # third parties may look at a file or a bus
        raise TransportError(f"{text!r}: {_line(error)}") from None


def _loaded(text: str, plugin: EntryPoint) -> Factory:
    try:
        factory: Factory = plugin.load()
    except Exception as error:  # whatever a third party's module does when it is imported
        origin = f" of {plugin.dist.name}" if plugin.dist else ""
        raise UrlError(
            f"{text!r}: the transport {plugin.name!r}{origin} cannot be loaded ({_line(error)}); install it again"
        ) from error
    return factory


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def take_params(params: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """``known`` (name -> default) overlaid with ``params``. Raises ``ValueError`` for a name that is not known."""
    for name in params:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {close[0]!r}?"
                if close
                else f"known are {', '.join(known)}"
                if known
                else "it takes none"
            )
            raise ValueError(f"unknown parameter {name!r}; {hint}")
    return {**known, **params}
