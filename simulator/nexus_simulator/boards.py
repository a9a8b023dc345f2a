"""The firmware in C, served like the one in Python: ``sim serve --firmware native`` and ``qemu``.

The native board serves its host itself. The emulated processor has only a UART, so its bytes are carried from there to
the host here, and the board is told when a host comes and goes. Knows carriers and boards; nothing of what travels.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from collections.abc import Callable, Mapping

from nexus_simulator.emulators import EmulatorError, NativeBoard, QemuBoard
from nexus_simulator.options import Options
from nexus_simulator.scripts import script_named
from nexus_simulator.serve import OUTBOX_MAX, Carrier, Endpoint, say, until_signal

PARAMETERS_OF_BOARDS = {
    "script", "seed", "speed", "force_rate", "imu_rate", "skew_ppm", "battery", "temperature", "boot", "imu",
}  # fmt: skip
"""Parameters of the simulated tool that make sense with firmware in C; what goes wrong on a link is not there."""
LOOK_S = 0.1
"""How often a board is asked whether it still runs."""
GATHER_S = 0.001
"""After reading from the UART this long is waited for more: it sends byte by byte."""
NOTICE_S = 5.0
"""Longest time until a board must have noticed a new host."""
EARLY_MAX = 4096
"""Bytes kept from a host that speaks before the board has noticed it."""
READ_SIZE = 65536


def refuse(firmware: str, options: Options, given: Mapping[str, str]) -> None:
    """Raise ValueError, one line, for what this firmware cannot do. ``given``: what was asked for, as written."""
    for name, text in given.items():
        if name not in PARAMETERS_OF_BOARDS:
            option = "--" + name.replace("_", "-")
            raise ValueError(f"{option} {text}: only --firmware python has it; a fault-proxy can do it")
    script = script_named(options.script)
    if script.drains or script.silent_from_s:
        raise ValueError(f"--script {script.name}: its link ends by itself; only --firmware python does that")
    if options.speed != 1.0 and (firmware != "qemu" or not math.isinf(options.speed)):
        raise ValueError(f"--speed: --firmware {firmware} runs in real time" + (" or with max" * (firmware == "qemu")))


def run_native(options: Options, address: tuple[str, int] | None) -> None:
    """Serve one host after another until a signal; ``address``: host and port, ``None``: a pseudo-terminal.

    Says the address when it can be reached. Raises EmulatorError where the board cannot be had or ends by itself.
    """
    with NativeBoard(options, address) as native:
        asyncio.run(_watch(native))


def run_qemu(options: Options, serve: Callable[[Endpoint], None]) -> None:
    """Let ``serve`` serve the emulated UART; raises EmulatorError where the board cannot be had or ends by itself."""
    with QemuBoard(options, math.isinf(options.speed)) as qemu:
        serve(ServedUart(qemu))
        if qemu.ended is not None:
            raise EmulatorError(qemu.ended)


async def _watch(board: NativeBoard) -> None:
    """Say where, then wait until a signal; raises EmulatorError when the board ends by itself."""
    async with until_signal() as signalled:
        say(board.address)
        while not signalled.is_set():
            if board.ended is not None:
                raise EmulatorError(board.ended)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(signalled.wait(), LOOK_S)


class ServedUart:
    """The emulated processor's serial line, behind whatever carrier is connected."""

    def __init__(self, board: QemuBoard) -> None:
        self._board = board
        self._shared = board.physics.shared
        self._early = bytearray()
        self._noticed = False
        self.lost = 0
        """Bytes from the host that found no room."""

    @property
    def switched_off(self) -> bool:
        """The process is gone, and the tool with it."""
        return self._board.ended is not None

    def receive(self, data: bytes) -> None:
        """Bytes from the host."""
        if self._noticed:
            self._write(data)
        else:
            room = EARLY_MAX - len(self._early)
            self._early += data[:room]
            self.lost += max(0, len(data) - room)

    async def pump(self, carrier: Carrier) -> str:
        """Carry bytes until the tool hangs up; returns why."""
        hang_ups = int(self._shared["hang_up"])
        if not await self._connect():
            return "the emulated tool does not notice its host"
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        try:
            while True:
                if self._board.ended is not None:
                    return self._board.ended
                if int(self._shared["hang_up"]) != hang_ups:
                    return "the recording has ended"
                room = OUTBOX_MAX - carrier.waiting
                data = self._read(room) if room > 0 else b""
                if data:
                    carrier.send(data)
                if data or room <= 0:
                    await asyncio.sleep(GATHER_S)
                    continue
                readable.clear()
                loop.add_reader(self._board.uart_out, readable.set)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(readable.wait(), LOOK_S)
                loop.remove_reader(self._board.uart_out)
        finally:
            loop.remove_reader(self._board.uart_out)

    def disconnect(self) -> None:
        """The host is gone: the board is told."""
        self._early.clear()
        self._noticed = False
        if int(self._shared["connection"]) & 1:
            self._shared["connection"] += 1

    async def _connect(self) -> bool:
        """Tell the board, wait until it knows, and throw away what it sent before."""
        self._shared["connection"] += 1
        for _ in range(round(NOTICE_S / GATHER_S)):
            self._read(READ_SIZE)
            if self._shared["seen_connection"] == self._shared["connection"]:
                break
            await asyncio.sleep(GATHER_S)
        else:
            return False
        while self._read(READ_SIZE):
            pass
        self._noticed = True
        self._write(bytes(self._early))
        self._early.clear()
        return True

    def _read(self, room: int) -> bytes:
        with contextlib.suppress(BlockingIOError):
            return os.read(self._board.uart_out, min(room, READ_SIZE))
        return b""

    def _write(self, data: bytes) -> None:
        taken = 0
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            taken = os.write(self._board.uart_in, data)
        self.lost += len(data) - taken
