"""Inside the guest: the tools of the tests, by remote control. The same names as in `ble_peer`, the tools are outside.

What the tests do to a tool, and what it got, goes through a port of the machine to `host.Control`. Nothing here knows
BlueZ, but that what it remembers of one test's tools must not reach the next test.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import enum
import itertools
import json
import os
import select
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import asdict, dataclass
from typing import Any, Final, TypeVar

from agent import ANSWERS, ASKED

from nexuslink.protocol.messages import SessionTotals

T = TypeVar("T")

PORT: Final = os.environ.get("NEXUS_BLUEZ", "")
STEP_S = 0.005
GUARD_S = 60.0
STORY_S = 100.0
"""Guards against hanging."""


class Line:
    """Questions and answers."""

    def __init__(self, path: str) -> None:
        self._port = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._numbers = itertools.count(1)
        self._rest = b""
        self._answers: dict[int, dict[str, Any]] = {}

    def ask(self, **question: Any) -> Any:
        """Wait for the answer here and now: it comes within milliseconds."""
        number = self._send(question)
        deadline = time.monotonic() + GUARD_S
        while number not in self._answers:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nobody outside answers {question}")
            select.select([self._port], [], [], 1.0)
            self._read()
        return self._answer(number)

    async def wait(self, **question: Any) -> Any:
        """For what takes longer; the event loop goes on."""
        number = self._send(question)
        try:
            while number not in self._answers:
                await asyncio.sleep(STEP_S)
                self._read()
        except asyncio.CancelledError:
            self.ask(do="cancel", call=number)
            raise
        return self._answer(number)

    def _send(self, question: dict[str, Any]) -> int:
        number = next(self._numbers)
        data = json.dumps({"id": number, **question}).encode() + b"\n"
        while data:
            select.select([], [self._port], [], 1.0)
            data = data[os.write(self._port, data) :]
        return number

    def _read(self) -> None:
        try:
            data = os.read(self._port, 65536)
        except BlockingIOError:
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            self._answers[answer["id"]] = answer

    def _answer(self, number: int) -> Any:
        answer = self._answers.pop(number)
        if "error" in answer:
            kind = getattr(builtins, answer["error"], RuntimeError)
            raise kind(answer["text"])
        value = answer["is"]
        return bytearray.fromhex(value["hex"]) if isinstance(value, dict) and "hex" in value else value


LINE = Line(PORT)
"""Opened once: it is not what a test may leave over."""


class RemoteAir:
    """The one air there is."""

    name = "bluez"

    def __init__(self) -> None:
        LINE.ask(do="reset")
        self.fresh = True

    def adapter_off(self) -> None:
        """As the person does it: by the system."""
        _bluetooth("off")

    def adapter_on(self) -> None:
        _bluetooth("on")

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name != "fresh":
            LINE.ask(on="air", set=name, **{"with": [value]})


def _bluetooth(state: str) -> None:
    subprocess.run(["bluetoothctl", "power", state], check=True, capture_output=True, timeout=GUARD_S)


def new_air() -> RemoteAir:
    """Nobody is on it."""
    return RemoteAir()


def radio_of(where: RemoteAir, settings: str = "") -> str | None:
    """The computer's own."""
    return None


class Method(enum.Enum):
    """See `nexus_simulator.ble.pairing`, whose names these are."""

    NUMERIC = enum.auto()
    PASSKEY = enum.auto()
    NOTHING = enum.auto()


class Level(enum.IntEnum):
    """See `nexus_simulator.ble.pairing`."""

    OPEN = 0
    ENCRYPTED = 1
    AUTHENTICATED = 2


@dataclass(frozen=True, slots=True)
class Security:
    """See `nexus_simulator.ble.pairing`."""

    method: Method = Method.NUMERIC
    passkey: int | None = None
    confirm: bool = True
    window_s: float = 60.0
    always_open: bool = False


OPEN = Security(method=Method.NOTHING, always_open=True)


class _Part:
    """Something of a tool: what is asked for by name is asked for outside."""

    def __init__(self, tool: SimTool, name: str) -> None:
        self._tool, self._name = tool, name

    def __getattr__(self, name: str) -> Any:
        return LINE.ask(on=self._tool._number, get=f"{self._name}.{name}")

    async def forget(self) -> None:
        await self._tool.wait(f"{self._name}.forget")


class SimTool:
    """See `ble_peer.SimTool`."""

    kind = "sim"

    def __init__(self, where: RemoteAir, options: Any = None, security: Security = OPEN) -> None:
        self.air = where
        self.guard, self.counts = _Part(self, "guard"), _Part(self, "counts")
        asked = asdict(security) | {"method": security.method.name}
        given = {name: getattr(options, name) for name in ("seed", "force_rate", "imu_rate")} if options else {}
        made = LINE.ask(do="tool", kind=self.kind, options=given, security=asked)
        self._number: int = made["number"]
        self.serial_number: str = made["serial"]
        self.address: str = made["address"]

    def ask(self, name: str, *values: Any) -> Any:
        return LINE.ask(on=self._number, call=name, **{"with": [_pack(value) for value in values]})

    async def wait(self, name: str, *values: Any) -> Any:
        return await LINE.wait(on=self._number, call=name, **{"with": [_pack(value) for value in values]})

    async def start(self) -> None:
        if self.air.fresh:
            await forget_everything()
            self.air.fresh = False
        await self.wait("start")

    async def close(self) -> None:
        await self.wait("close")

    def press_button(self) -> None:
        self.ask("press_button")

    def crash(self) -> None:
        self.ask("crash")

    def restart(self) -> None:
        self.ask("restart")

    def leave(self) -> None:
        self.ask("leave")

    def return_(self) -> None:
        self.ask("return_")

    def hang_up(self) -> None:
        self.ask("hang_up")

    @property
    def connection(self) -> Any:
        return LINE.ask(on=self._number, get="connection")

    @property
    def level(self) -> Level:
        return Level(LINE.ask(on=self._number, get="level"))

    @property
    def totals(self) -> SessionTotals:
        told = LINE.ask(on=self._number, get="totals")
        return SessionTotals(**told | {"samples": tuple(told["samples"])})


class Impostor(SimTool):
    """See `ble_peer.Impostor`."""

    kind = "impostor"


class RawTool(SimTool):
    """See `ble_peer.RawTool`."""

    kind = "raw"

    async def take(self, n: int) -> bytes:
        return bytes(await self.wait("take", n))

    async def send(self, data: bytes) -> None:
        await self.wait("send", data)

    def notify(self, data: bytes) -> bool:
        return bool(self.ask("notify", data))

    @property
    def inbox(self) -> bytearray:
        return bytearray(LINE.ask(on=self._number, get="inbox"))

    @inbox.setter
    def inbox(self, data: bytearray) -> None:
        LINE.ask(on=self._number, set="inbox", **{"with": [_pack(data)]})


class Shouter:
    """See `ble_shouter.Shouter`."""

    def __init__(self, where: RemoteAir) -> None:
        """There is one air, and one who shouts."""

    def shout(self, number: int, data: bytes, response: bytes = b"") -> None:
        LINE.ask(do="shout", **{"with": [number, _pack(data), _pack(response)]})

    def close(self) -> None:
        """It goes with the air."""


class Person:
    """See `ble_side.Person`: `agent` asks the person, as a desktop does."""

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, where: RemoteAir, confirms: bool = True, passkey: int | None = None) -> AsyncIterator[Person]:
        ANSWERS.write_text(json.dumps({"confirm": confirms} | ({} if passkey is None else {"passkey": passkey})))
        ASKED.unlink(missing_ok=True)
        try:
            yield cls()
        finally:
            ANSWERS.write_text(json.dumps({"confirm": True}))

    @property
    def compared(self) -> int | None:
        asked = [json.loads(line) for line in ASKED.read_text("utf-8").splitlines()] if ASKED.exists() else []
        return next((int(words[-1]) for words in reversed(asked) if words[0] == "RequestConfirmation"), None)


def _pack(value: Any) -> Any:
    return {"hex": bytes(value).hex()} if isinstance(value, (bytes, bytearray)) else value


def alone(story: Coroutine[Any, Any, T]) -> tuple[T, list[str]]:
    """See `moments.alone`; in real time, where what ends by itself in bounded time is nothing that is left over."""
    threads = set(threading.enumerate())

    async def whole() -> tuple[T, list[str]]:
        try:
            async with asyncio.timeout(STORY_S):
                result = await story
        finally:
            await let_go_of_the_bus()
        await asyncio.sleep(0.0)
        if rest := asyncio.all_tasks() - {asyncio.current_task()}:  # BlueZ takes 2 s to end what is given up
            print("guest: still ending:", *rest)
            await asyncio.wait(rest, timeout=GUARD_S)
        return result, [f"a task is left over: {t!r}" for t in rest if not t.done()]

    result, left = asyncio.run(whole())
    return result, left + [f"a thread is left over: {one.name}" for one in set(threading.enumerate()) - threads]


async def forget_everything() -> None:
    """All devices that BlueZ knows, with their keys; and its adapter is on."""
    from dbus_fast import BusType, Message, Variant
    from dbus_fast.aio import MessageBus

    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    try:
        deadline = time.monotonic() + GUARD_S
        adapters: list[str] = []
        while not adapters:
            if time.monotonic() > deadline:
                raise TimeoutError("BlueZ has no adapter")
            reply = await bus.call(
                Message("org.bluez", "/", "org.freedesktop.DBus.ObjectManager", member="GetManagedObjects")
            )
            objects = reply.body[0] if reply is not None and reply.body and isinstance(reply.body[0], dict) else {}
            adapters = [path for path, interfaces in objects.items() if "org.bluez.Adapter1" in interfaces]
            if not adapters:
                await asyncio.sleep(0.1)
        for path, interfaces in objects.items():
            if "org.bluez.Device1" in interfaces:
                await bus.call(
                    Message("org.bluez", adapters[0], "org.bluez.Adapter1", "RemoveDevice", signature="o", body=[path])
                )
        if not objects[adapters[0]]["org.bluez.Adapter1"]["Powered"].value:
            on = ["org.bluez.Adapter1", "Powered", Variant("b", True)]
            await bus.call(
                Message("org.bluez", adapters[0], "org.freedesktop.DBus.Properties", "Set", signature="ssv", body=on)
            )
    finally:
        bus.disconnect()
        await bus.wait_for_disconnect()


async def let_go_of_the_bus() -> None:
    """Bleak keeps one connection to D-Bus for as long as the event loop lives, and a test's loop ends here."""
    from bleak.backends.bluezdbus import manager

    instance = manager._global_instances.pop(asyncio.get_running_loop(), None)
    if instance is not None and instance._bus is not None:
        watching = instance._bus_watcher_task
        instance._bus.disconnect()
        if watching is not None:
            await asyncio.wait({watching})
