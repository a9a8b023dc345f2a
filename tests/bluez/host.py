"""Outside the guest: the virtual air that the guest's adapter is on, and the tools that its tests put there.

    python host.py HCI-SOCKET CONTROL-SOCKET

The guest's tests say over the second socket what the tools are to do, a JSON document a line: see `Control`. The tools
are those of the tests in process (`ble_peer`), unchanged. It ends with its standard input.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from ble_peer import Impostor, RawTool, SimTool
from ble_shouter import Shouter
from nexus_simulator.ble.pairing import Method, Security
from nexus_simulator.ble.radio import Air
from nexus_simulator.ble.serving import HostSide
from nexus_simulator.options import Options

KINDS: dict[str, type[SimTool]] = {"raw": RawTool, "sim": SimTool, "impostor": Impostor}


class Hci(asyncio.Protocol):
    """The guest's adapter."""

    def __init__(self, air: Air) -> None:
        self._air = air
        self._side: HostSide | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._side = HostSide(self._air, transport.write)

    def data_received(self, data: bytes) -> None:
        assert self._side is not None
        if not self._side.feed(data):
            print(f"host: that was not HCI: {data.hex()}", flush=True)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._side is not None:
            self._side.close()


class Control(asyncio.Protocol):
    """A line of JSON asks, another one answers.

    ``{"id": 1, "on": TOOL or "air", "call" | "get" | "set": "dotted.name", "with": [...]}`` gives
    ``{"id": 1, "is": ...}`` or ``{"id": 1, "error": "ConnectionError", "text": "..."}``. Beside that ``"do": "reset"``
    (nobody is on the air), ``"do": "tool"`` (a new one; its number is the answer), ``"do": "shout"`` (see `Shouter`),
    ``"do": "cancel"``. Bytes are ``{"hex": "..."}``; what cannot be said in JSON is ``true``.
    """

    def __init__(self, air: Air) -> None:
        self._air = air
        self._tools: dict[int, SimTool] = {}
        self._shouter: Shouter | None = None
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._rest = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            asked = json.loads(line)
            number = asked["id"]
            task = asyncio.get_running_loop().create_task(self._answer(number, asked))
            self._calls[number] = task
            task.add_done_callback(lambda _, number=number: self._calls.pop(number, None))

    async def _answer(self, number: int, asked: dict[str, Any]) -> None:
        try:
            answer = {"is": pack(await self._do(asked))}
        except Exception as error:  # the test that asked gets it
            answer = {"error": type(error).__name__, "text": str(error)}
        assert self._transport is not None
        self._transport.write(json.dumps({"id": number, **answer}).encode() + b"\n")

    async def _do(self, asked: dict[str, Any]) -> Any:
        if "do" in asked:
            done = getattr(self, f"_{asked['do']}")(asked)
            return await done if inspect.isawaitable(done) else done
        on: Any = self._air if asked["on"] == "air" else self._tools[asked["on"]]
        verb = next(verb for verb in ("call", "get", "set") if verb in asked)
        *path, name = asked[verb].split(".")
        on = functools.reduce(getattr, path, on)
        values = [unpack(value) for value in asked.get("with", [])]
        if verb == "set":
            return setattr(on, name, values[0])
        if verb == "get":
            return getattr(on, name)
        result = getattr(on, name)(*values)
        return await result if inspect.isawaitable(result) else result

    def _cancel(self, asked: dict[str, Any]) -> bool:
        task = self._calls.get(asked["call"])
        return task is not None and task.cancel()

    def _shout(self, asked: dict[str, Any]) -> None:
        self._shouter = self._shouter or Shouter(self._air)
        self._shouter.shout(*map(unpack, asked["with"]))

    async def _reset(self, _: dict[str, Any]) -> None:
        if self._shouter is not None:
            self._shouter.close()
            self._shouter = None
        tools, self._tools = self._tools, {}
        for tool in tools.values():
            await tool.close()
        fresh = Air()
        self._air.adapter_on()
        for name in ("loss", "interval_ms", "mtu_max", "megabit", "paced"):
            setattr(self._air, name, getattr(fresh, name))

    def _tool(self, asked: dict[str, Any]) -> dict[str, Any]:
        security = dict(asked["security"])
        security["method"] = Method[security["method"]]
        if "confirm" in security:
            security["confirm"] = lambda _, says=security["confirm"]: says
        tool = KINDS[asked["kind"]](self._air, Options(**asked["options"]), Security(**security))
        number = 1 + max(self._tools, default=0)
        self._tools[number] = tool
        return {"number": number, "serial": tool.serial_number, "address": str(tool.address).partition("/")[0]}


def pack(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return {"hex": bytes(value).hex()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value if isinstance(value, (str, int, float, dict, type(None))) else True


def unpack(value: Any) -> Any:
    return bytearray.fromhex(value["hex"]) if isinstance(value, dict) else value


async def main(hci: str, control: str) -> None:
    loop = asyncio.get_running_loop()
    air = Air("bluez")
    sides: dict[str, Callable[[], asyncio.Protocol]] = {hci: lambda: Hci(air), control: lambda: Control(air)}
    servers = [await loop.create_unix_server(make, path) for path, make in sides.items()]
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    for server in servers:
        server.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
