"""Keeps one tool connected: found, greeted, streaming if that is wanted, and back again after whatever happens to it.

What follows what is `course`'s table; here is what is done in each state. One task runs it all; every wait in it has an
end, and `disconnect` ends it at any moment. The tool is meant by its serial number, wherever it turns up: by USB's
serial number, by what a radio scan says, at the addresses where it was before, and at last by asking at ports of which
nobody knows what is behind them. Whoever was named by an address only is known by serial number after the first
handshake, and another tool at that address is not taken for it. Where there are several ways the best is taken
(`finders.CARRIERS`), and changed to while nobody holds the connection.

It must never know what samples mean; the tool's own times are never mixed with the loop's, which is for waiting only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Final

from nexuslink.device.bounded import CANCEL_BOUND_S, within
from nexuslink.device.cache import USUAL, ToolCache
from nexuslink.device.candidates import Candidates
from nexuslink.device.course import COURSE, Action, Backoff, Event, State
from nexuslink.device.discovery import Discovery
from nexuslink.device.errors import DeviceError, NoAnswerError, NoToolError, OtherToolError
from nexuslink.device.finders import MARK, FoundTool
from nexuslink.device.nexus import Nexus
from nexuslink.device.old_key import OldKey
from nexuslink.device.opening import Opening
from nexuslink.device.progress import LinkFigures, Progress, Watchers, sentence
from nexuslink.device.pulse import Pulse
from nexuslink.device.remembered import RememberedTools
from nexuslink.device.trust import Trust
from nexuslink.device.verdict import PERSONAL, Judgement, Verdict, judge
from nexuslink.protocol.exchange import LinkState
from nexuslink.transport.errors import LinkLostError, TransportError
from nexuslink.transport.url import make_transport

OPEN_BOUND_S: Final = 60.0
"""A radio looks, connects, and lets a person compare six digits; every transport has a shorter bound of its own."""
GREET_BOUND_S: Final = 10.0
CLOSE_BOUND_S: Final = 3.0
OFF_BOUND_S: Final = CLOSE_BOUND_S + 2 * CANCEL_BOUND_S
"""`disconnect` takes no longer."""
WATCH_S: Final = 0.1
"""How often a tool that is there is looked at."""
REPORT_EVERY: Final = 10
"""Looks between two reports of the link's figures."""
STEADY_S: Final = 1.0
"""A connection that lasts this long is one: pauses begin small again."""
NEWS_S: Final = 0.4
"""How often, in a pause, the quick finders are asked whether somebody has come."""
NEWS_BOUND_S: Final = 2.0
NEARER_EVERY: Final = 10
"""Looks between two looks for a better way."""


class Supervisor:
    """One tool. ``target``: a serial number, or an address. Nothing happens before `connect`.

    ``streaming``: start the stream by itself, each time. ``rng``: for the pauses. ``cache`` and ``remembered``: what
    was known before, and is kept; ``None``: nothing. ``asks``: a tool that has fallen silent is asked whether it is
    there, and reconnected where it is not. ``once``: when the first connection ends, that is the end. Belongs to one
    event loop, as ``discovery`` does; several supervisors share one.
    """

    def __init__(
        self, target: str, discovery: Discovery, *, streaming: bool = False, rng: Random | None = None,
        cache: ToolCache | None = USUAL, remembered: RememberedTools | None = None, asks: bool = True,
        once: bool = False,
    ) -> None:  # fmt: skip
        named = target.removeprefix(MARK)
        self.state = State.OFF
        self.nexus: Nexus | None = None
        """The tool, while it is ready or streams."""
        self._discovery = discovery
        self._trust = Trust(remembered)
        self._candidates = Candidates(
            discovery, self, None if ":" in named else named, named if ":" in named else None, remembered
        )
        self._streaming = streaming
        self._asks = asks
        self.once = once
        self._cache = cache
        self._backoff = Backoff(rng or Random())
        self._progress: Watchers[Progress] = Watchers()
        self._tools: Watchers[Nexus] = Watchers()
        self._judged: Judgement | None = None
        self._pause_s = 0.0
        self._at: FoundTool | None = None
        self._link: Nexus | None = None
        self._opening: Opening | None = None
        self._old_key = OldKey()
        self._boot_id: int | None = None
        self._restarts = self._connections = self._holds = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._wanted = False
        self._actions: dict[Action, Callable[[], Awaitable[Event]]] = {
            Action.LOOK: self._look,
            Action.OPEN: self._open,
            Action.LET_IN: self._let_in,
            Action.GREET: self._greet,
            Action.SERVE: self._serve,
            Action.PAUSE: self._pause,
        }

    # -- for whoever uses it --------------------------------------------------------------------------------------

    @property
    def serial_number(self) -> str | None:
        """Of the tool that is meant; ``None`` until the tool at a named address has said it."""
        return self._candidates.serial_number

    @property
    def progress(self) -> Progress:
        """As of now."""
        nexus, at = self.nexus, self._at
        return Progress(
            self.state, self._judged.verdict if self._judged else None, self._sentence(), self._backoff.attempt,
            self._pause_s, at.url if at is not None else "", self.serial_number,
            nexus.simulated if nexus is not None else at is not None and at.simulated,
            self._restarts, self._connections,
            LinkFigures.of(nexus, at.rssi_dbm if at is not None else None) if nexus is not None else None,
            self._number,
        )  # fmt: skip

    @property
    def watcher_failures(self) -> int:
        """Callbacks that raised."""
        return self._progress.failures + self._tools.failures

    def subscribe(self, callback: Callable[[Progress], None]) -> Callable[[], None]:
        """``callback(progress)`` at each change, and every second while connected; call what is returned to end it."""
        return self._progress.add(callback)

    def add_tool_watch(self, callback: Callable[[Nexus], None]) -> Callable[[], None]:
        """``callback(nexus)`` for each new connection, before its stream starts; a first one may be there already."""
        return self._tools.add(callback)

    def connect(self) -> None:
        """Keep it connected from now on. Nothing happens where that is so already."""
        if self._task is None or self._task.done():
            self._wanted = True
            self._task = asyncio.create_task(self._run(), name="nexuslink supervisor")

    async def disconnect(self) -> None:
        """Let go, and stay away until `connect`. At most `OFF_BOUND_S`, whatever is going on."""
        task, self._task = self._task, None
        self._wanted = False
        if task is not None:
            task.cancel()
            await asyncio.wait((task,), timeout=OFF_BOUND_S)

    def nudge(self) -> None:
        """Do not wait for the end of the pause: try now."""
        self._wake.set()

    def want_streaming(self, wanted: bool) -> None:
        """Whether the stream is started by itself. A running one is stopped by whoever started it: `Nexus.stop`."""
        self._streaming = wanted
        self._wake.set()

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """While inside, the way to the tool is not changed for a better one."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    def absence(self) -> str:
        """Nobody is there: one sentence, with what kept the finders from looking."""
        return self._candidates.absence()

    async def up(self, bound_s: float, state: State = State.READY) -> Nexus:
        """Wait until the tool is there (or streams). Raises `NoToolError` with the latest verdict's sentence."""
        reached: asyncio.Event = asyncio.Event()
        end = self.subscribe(lambda _: reached.set())
        try:
            async with asyncio.timeout(bound_s):
                while self.nexus is None or self.state not in (state, State.STREAMING):
                    if not self._wanted:
                        raise NoToolError(self._sentence())
                    reached.clear()
                    await reached.wait()
                return self.nexus
        except TimeoutError:
            raise NoToolError(self._sentence()) from None
        finally:
            end()

    # -- the course -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        event = Event.WANTED
        self._backoff.reset()
        self._candidates.begin_round()
        try:
            while True:
                self.state, action = COURSE[self.state, event]
                if action is Action.REST:
                    return
                self._tell()
                try:
                    event = await self._actions[action]()
                except Exception as error:  # nothing may end it but the user
                    event = self._failed(error)
        finally:
            await self._let_go()
            self._wanted = False
            if event is not Event.HOPELESS:
                self.state, _ = COURSE[self.state, Event.UNWANTED]
                self._judged = Judgement(Verdict.LET_GO, "Disconnected.")
            self._tell()

    def _failed(self, error: BaseException) -> Event:
        """An attempt, or a connection, has ended like this."""
        self._judged = self._old_key.judged(judge(error))
        if self._judged.verdict is Verdict.IMPOSTOR:
            self._candidates.impostor()
        self.nexus = None
        if self._link is not None and self._link.closed_reason is None:
            self._link.closed(self._judged.sentence)  # whoever waits for it learns why; nobody waits for its goodbye
        # Pairing asks a person: once, and not again and again. Where it was paired before, a bad link looks the same.
        asked = self._judged.verdict in PERSONAL and not self._connections
        over = asked or (self.once and self._connections > 0)
        return Event.FAILED if self._judged.again and not over else Event.HOPELESS

    async def _look(self) -> Event:
        await self._let_go()
        self._at = await self._candidates.next()
        if self._at is None:
            self._judged = Judgement(Verdict.NOT_THERE, self._candidates.absence())
            return Event.NOBODY
        return Event.FOUND

    async def _open(self) -> Event:
        assert self._at is not None
        if not self._discovery.hold(self._at.url, self):
            raise TransportError(f"{self._at.url}: this program uses that address for another tool")
        self._link = Nexus(make_transport(self._trust.dial(self._at, self.serial_number)), self._cache)
        self._link.url = self._at.url  # as a person has it, without what only dialling needs
        self._opening = Opening(self._link, OPEN_BOUND_S)
        return await self._let_in()

    async def _let_in(self) -> Event:
        """Wait for the open link; where a person is asked meanwhile that is told."""
        assert self._opening is not None
        assert self._at is not None
        try:
            return Event.OPENED if await self._opening.news() else Event.ASKED
        except TimeoutError:
            raise TransportError(f"{self._at.url}: no connection within {OPEN_BOUND_S:g} s") from None

    async def _greet(self) -> Event:
        nexus, at = self._link, self._at
        assert nexus is not None
        assert at is not None
        try:
            await within(nexus.shake_hands(), GREET_BOUND_S)
            self._is_meant(nexus, at)
        except TimeoutError:
            self._candidates.mute(at)
            raise NoAnswerError(f"{at.url}: no whole answer within {GREET_BOUND_S:g} s; is it a Nexus?") from None
        except NoAnswerError:
            self._candidates.mute(at)
            raise
        except OtherToolError:
            self._candidates.foreign(at)
            raise
        info = nexus.info
        restarted = self._boot_id not in (None, info.boot_id)
        self._restarts += restarted
        self._boot_id = info.boot_id
        self._connections += 1
        self._candidates.confirmed(at, info.serial_number)
        words = f"{info.serial_number} is connected over {at.url}."
        if restarted:
            self._judged = Judgement(Verdict.RESTARTED, f"{words} It has restarted: its clock and streams begin anew.")
        else:
            self._judged = Judgement(Verdict.CONNECTED, words)
        await self._trust.keep(nexus, at)
        self.nexus = nexus
        nexus.add_closer(lambda _: self._wake.set())
        self._tools.tell(nexus)
        return Event.GREETED

    def _is_meant(self, nexus: Nexus, at: FoundTool) -> None:
        serial = nexus.info.serial_number
        if self.serial_number not in (None, serial):
            raise OtherToolError(f"{at.url}: {serial} is there, not {self.serial_number}; is that one switched on?")
        self._trust.check(nexus, at)

    async def _serve(self) -> Event:
        """Watch over a tool that is there, until something changes."""
        nexus = self.nexus
        assert nexus is not None
        loop = asyncio.get_running_loop()
        since_s, looks = loop.time(), 0
        pulse = Pulse(nexus, self.state is State.STREAMING)
        while True:
            if nexus.closed_reason is not None:
                raise LinkLostError(nexus.closed_reason)
            streams = nexus.state is LinkState.STREAMING
            if streams is not (self.state is State.STREAMING):
                return Event.STARTED if streams else Event.STOPPED
            if self._streaming and nexus.state is LinkState.READY:
                await nexus.start()
                continue
            if self._asks:
                await pulse.feel()
            if loop.time() - since_s >= STEADY_S:
                self._backoff.reset()
            looks += 1
            if looks % REPORT_EVERY == 0:
                self._tell()
            if looks % NEARER_EVERY == 0 and not self._holds and await self._is_nearer():
                return Event.NEARER
            await self._sleep(WATCH_S)

    async def _is_nearer(self) -> bool:
        if self._at is None or self._at.rank == 0:
            return False
        try:
            nearer = await within(self._candidates.nearer(self._at), NEWS_BOUND_S)
        except TimeoutError:
            return False
        if nearer is None or self._holds:
            return False
        self._judged = Judgement(Verdict.NEARER_WAY, f"The tool is at {nearer.url} too; changing over to it.")
        return True

    async def _pause(self) -> Event:
        await self._let_go()
        if self._candidates.others_left():
            return Event.WAITED
        self._candidates.begin_round()
        loop = asyncio.get_running_loop()
        self._pause_s = self._backoff.pause_s()
        until = loop.time() + self._pause_s
        self._tell()
        self._wake.clear()
        try:
            before = await self._seen()
            while (left := until - loop.time()) > 0:
                if await self._sleep(min(NEWS_S, left)):
                    break
                if left > NEWS_S and await self._seen() - before:
                    break
        finally:
            self._pause_s = 0.0
        return Event.WAITED

    async def _seen(self) -> set[str]:
        """Addresses that the quick finders see; a slow one shows nobody."""
        try:
            return {tool.url for tool in await within(self._discovery.look(quick=True), NEWS_BOUND_S)}
        except TimeoutError:
            return set()

    async def _sleep(self, seconds: float) -> bool:
        """Wait; True: woken before the end."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    async def _let_go(self) -> None:
        """Close what is open, at most `CLOSE_BOUND_S` and a little."""
        link, self._link, self.nexus = self._link, None, None
        opening, self._opening = self._opening, None
        try:
            if opening is not None:
                await opening.end()
        finally:  # also for one who gives up just now
            if link is not None:
                with contextlib.suppress(DeviceError, TransportError, OSError, TimeoutError):
                    await within(link.close(), CLOSE_BOUND_S)
        if self._at is not None:
            self._discovery.release(self._at.url, self)

    def _tell(self) -> None:
        self._progress.tell(self.progress)

    @property
    def _number(self) -> int | None:
        return self._opening.number if self._opening is not None else None

    def _sentence(self) -> str:
        who = self.serial_number or (self._at.url if self._at is not None else "the tool")
        return sentence(self.state, self._judged.sentence if self._judged is not None else "", who, self._number)
