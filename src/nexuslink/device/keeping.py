"""A tool as a person names it, connected and kept: the one way from an argument or a click to a supervisor that is up.

    serial:/dev/ttyACM0, ble:, tcp:..., sim:...   an address: whoever is there; one attempt tells
    NX-000123, tool:NX-000123, tool:NAME          that tool, wherever it turns up, by serial number or by its given name
    tool:                                         the one that was used last
    tool:NX-000123?radio=NAME:WHERE               also on another radio than the system's

It must never know what is done with the tool.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Final

from nexuslink.device.cache import USUAL as USUAL_CACHE
from nexuslink.device.cache import ToolCache
from nexuslink.device.course import UNDER_WAY, UP, State
from nexuslink.device.discovery import Discovery, usual_finders
from nexuslink.device.errors import NoToolError
from nexuslink.device.finders import MARK, Finder, RadioFinder, SimulatedFinder
from nexuslink.device.nexus import Nexus
from nexuslink.device.progress import Progress
from nexuslink.device.remembered import USUAL, RememberedTools
from nexuslink.device.supervisor import Supervisor
from nexuslink.device.verdict import PERSONAL, Verdict, one_line
from nexuslink.transport.errors import UrlError
from nexuslink.transport.url import make_transport, parse_url, take_params

FIND_S: Final = 10.0
"""How long a tool that is named by its serial number is looked for."""
ELSEWHERE: Final = frozenset({Verdict.NOT_THERE, Verdict.NO_ANSWER, Verdict.OTHER_TOOL, Verdict.NO_LINK})
"""Said of a port at which the tool was only guessed, these mean no more than that it is not there."""
FINAL: Final = PERSONAL | {Verdict.IMPOSTOR, Verdict.OTHER_VERSION}
"""Of the tool itself, and no waiting changes it."""
_SERIAL: Final = re.compile(r"[A-Za-z]{1,8}-[0-9]{1,14}")
"""What is taken for a serial number without a mark before it."""


@dataclass(frozen=True, slots=True)
class Meant:
    """Which tool somebody means. ``target``: what a `Supervisor` takes, a serial number or an address."""

    target: str
    radios: tuple[str, ...] = ()
    """Radios beside the system's on which it may be."""

    @property
    def is_address(self) -> bool:
        """By where it is, and not by who it is."""
        return ":" in self.target

    @property
    def in_process(self) -> bool:
        """A simulated tool inside this program: opened again it is another one, and nobody could bring it back."""
        return self.target.lower().startswith("sim:")


def is_tool(text: str) -> bool:
    """It has the form of an address or of a serial number; a file's name has not."""
    return ":" in text or _SERIAL.fullmatch(text) is not None


def meant(text: str, remembered: RememberedTools | None = USUAL) -> Meant:
    """Which tool ``text`` names; opens nothing. Raises `UrlError` with one line, or as `make_transport` does."""
    text = text.strip()
    marked = text.lower().startswith(MARK)
    if not marked and _SERIAL.fullmatch(text) is None:
        make_transport(text)  # a mistyped address is said before anything is waited for
        return Meant(text)
    url = parse_url(text if marked else MARK + text)
    try:
        radio = take_params(url.params, {"radio": ""})["radio"]
    except ValueError as error:
        raise UrlError(f"{text!r}: {error}") from None
    known = remembered.all() if remembered is not None else []
    wanted = url.target.casefold()
    if not wanted:
        if not known:
            raise UrlError(f"{text!r}: no tool has been used yet; `nexuslink scan` lists those that are there")
        fitting = known[:1]
    else:
        fitting = [tool for tool in known if tool.serial_number.casefold() == wanted]
        fitting = fitting or [tool for tool in known if tool.name.casefold() == wanted]
    if len(fitting) > 1:
        numbers = ", ".join(tool.serial_number for tool in fitting[:5])
        raise UrlError(f"{text!r}: {len(fitting)} tools are called that; write one of {numbers}")
    serial = fitting[0].serial_number if fitting else url.target
    if ":" in serial:
        raise UrlError(f"{text!r}: a serial number has no colon; write {MARK}NX-000123")
    before = [_radio(at) for tool in fitting for at in tool.urls]
    return Meant(serial, tuple(dict.fromkeys(r for r in (radio, *before) if r)))


def _radio(url: str) -> str:
    """The radio that an address names."""
    try:
        parsed = parse_url(url)
    except UrlError:
        return ""
    return parsed.params.get("radio", "") if parsed.scheme == "ble" else ""


def discovery_for(wanted: Meant, finders: Iterable[Finder] | None = None) -> Discovery:
    """Every usual finder, or ``finders``, and the other radios on which this tool may be.

    The simulated tool inside this program is meant only by its address: a served one may have the same serial number.
    """
    if wanted.in_process:
        return Discovery([])
    real = [one for one in (usual_finders() if finders is None else finders) if not isinstance(one, SimulatedFinder)]
    heard = {one.radio for one in real if isinstance(one, RadioFinder)}
    return Discovery([*real, *(RadioFinder(radio) for radio in wanted.radios if radio not in heard)])


async def kept(
    target: str, *, bound_s: float = FIND_S, finders: Iterable[Finder] | None = None,
    remembered: RememberedTools | None = USUAL, cache: ToolCache | None = USUAL_CACHE, streaming: bool = False,
    once: bool = False, rng: Random | None = None, watch: Callable[[Progress], None] | None = None,
) -> Supervisor:  # fmt: skip
    """The tool, connected, and kept so until `Supervisor.disconnect`.

    Raises `UrlError` for a target that cannot be one, else `NoToolError`: one line, why, and the next step. An address
    is tried once; a serial number is looked for during ``bound_s``, and an attempt that is under way then is let end.
    Nothing is left over when it raises or is cancelled. ``once``: one connection, whose silence nobody judges; when it
    has ended there is no other. A tool inside this program always has only one, and is not remembered. ``watch``: see
    `Supervisor.subscribe`, from the beginning. ``finders``: who looks, else the usual ones.
    """
    wanted = meant(target, remembered)
    once |= wanted.in_process
    supervisor = Supervisor(
        wanted.target, discovery_for(wanted, finders), streaming=streaming, rng=rng, cache=cache,
        remembered=None if wanted.in_process else remembered, asks=not once, once=once,
    )  # fmt: skip
    if watch is not None:
        supervisor.subscribe(watch)
    try:
        await _Attempt(supervisor, wanted).connected(bound_s)
    except BaseException:
        await supervisor.disconnect()
        raise
    return supervisor


@asynccontextmanager
async def connection(
    target: str, *, bound_s: float = FIND_S, remembered: RememberedTools | None = USUAL,
    cache: ToolCache | None = USUAL_CACHE, watch: Callable[[Progress], None] | None = None,
) -> AsyncIterator[Nexus]:  # fmt: skip
    """``async with connection("NX-000123") as nexus``: like `nexus.connect`, for everything that `kept` understands.

    One connection: it is not changed for a better one, and when it is lost, it is lost.
    """
    supervisor = await kept(target, bound_s=bound_s, remembered=remembered, cache=cache, once=True, watch=watch)
    try:
        with supervisor.holding():
            yield await supervisor.up(0.0)
    finally:
        await supervisor.disconnect()


async def address(target: str, watch: Callable[[Progress], None] | None = None) -> str:
    """Where the tool is now, for whoever must open the link itself. An address is its own, and nothing is opened."""
    wanted = meant(target)
    if wanted.is_address:
        return wanted.target
    supervisor = await kept(target, once=True, watch=watch)
    try:
        return supervisor.progress.url
    finally:
        await supervisor.disconnect()


class _Attempt:
    """Watches a supervisor until it is up, or until it is clear that it will not be."""

    def __init__(self, supervisor: Supervisor, wanted: Meant) -> None:
        self._supervisor = supervisor
        self._wanted = wanted
        self._changed = asyncio.Event()
        self._ended: Progress | None = None
        """Where an attempt has ended that is the last."""
        self._telling: Progress | None = None
        """The latest ended attempt that says something of the tool itself."""

    async def connected(self, bound_s: float) -> None:
        """Returns when it is; raises `NoToolError` when it is not to be had."""
        supervisor = self._supervisor
        end = supervisor.subscribe(self._told)
        supervisor.connect()
        try:
            try:
                async with asyncio.timeout(None if self._wanted.is_address else bound_s):
                    await self._decided(lambda: True)
            except TimeoutError:
                await self._decided(lambda: supervisor.state in UNDER_WAY)
        finally:
            end()
        if supervisor.state not in UP:
            raise self._error()

    async def _decided(self, goes_on: Callable[[], bool]) -> None:
        while self._supervisor.state not in UP and self._ended is None and goes_on():
            self._changed.clear()
            await self._changed.wait()

    def _told(self, progress: Progress) -> None:
        failed = progress.verdict is not None and progress.state in (State.LOST, State.SCANNING, State.OFF)
        if failed:
            if progress.verdict not in ELSEWHERE:
                self._telling = progress
            if progress.state is State.OFF or self._wanted.is_address or progress.verdict in FINAL:
                self._ended = self._ended or progress
        self._changed.set()

    def _error(self) -> NoToolError:
        said = self._ended or self._telling
        if said is None or said.verdict is None:
            return NoToolError(self._supervisor.absence(), Verdict.NOT_THERE)
        return NoToolError(one_line(said.sentence), said.verdict)
