"""``serial:PORT[?baud=N]``: a serial port or a PTY, by pyserial.

On POSIX the event loop watches the descriptor itself: no thread hop between the bytes and their reader. Windows
cannot watch a COM port, so a thread reads it there (``reader=thread`` chooses that anywhere, and is how it is
tested). USB CDC ignores the baud rate.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import serial

from nexuslink.protocol.chunk import ChunkSink
from nexuslink.transport.base import OPEN_TIMEOUT_S, WRITE_TIMEOUT_S, Inlet
from nexuslink.transport.errors import (
    LinkLostError,
    PortBusyError,
    PortDeniedError,
    PortNotFoundError,
    TransportError,
)
from nexuslink.transport.url import take_params

DEFAULT_BAUD: Final = 921_600
READ_SIZE: Final = 65_536
THREAD_READ_TIMEOUT_S: Final = 0.05
"""How long the reading thread blocks; also how long `close` waits for it, at least."""
READERS: Final = ("loop", "thread")

_OPEN_ERRORS: Final[dict[int, tuple[type[TransportError], str]]] = {
    errno.ENOENT: (PortNotFoundError, "there is no such port; `nexuslink scan` lists what is there"),
    errno.ENODEV: (PortNotFoundError, "there is no device behind it; is the tool plugged in?"),
    errno.ENXIO: (PortNotFoundError, "there is no device behind it; is the tool plugged in?"),
    errno.EIO: (PortNotFoundError, "there is no device behind it; is the tool plugged in?"),
    errno.EACCES: (PortDeniedError, "no permission; on Linux add yourself to the group `dialout` and log in again"),
    errno.EPERM: (PortDeniedError, "no permission; on Linux add yourself to the group `dialout` and log in again"),
    errno.EBUSY: (PortBusyError, "another program holds the port; close it first"),
    errno.EAGAIN: (PortBusyError, "another program holds the port; close it first"),
    errno.ENOTTY: (PortNotFoundError, "that is not a serial port"),
    errno.EISDIR: (PortNotFoundError, "that is not a serial port"),
    errno.EINVAL: (PortNotFoundError, "that is not a serial port"),
}

_DRIVER_ERRORS: tuple[type[Exception], ...] = (OSError, ValueError)
with contextlib.suppress(ImportError):  # POSIX only; not an OSError, and pyserial lets it through
    import termios

    _DRIVER_ERRORS += (termios.error,)


def open_serial(target: str, params: Mapping[str, str]) -> SerialTransport:
    """Factory of the scheme ``serial``. ``baud`` (default 921600), ``reader`` (``loop`` or ``thread``)."""
    default_reader = "thread" if os.name == "nt" else "loop"
    values = take_params(params, {"baud": str(DEFAULT_BAUD), "reader": default_reader})
    if not target:
        raise ValueError("write serial:PORT, for example serial:/dev/ttyACM0")
    if not values["baud"].isdecimal() or not 50 <= int(values["baud"]) <= 20_000_000:
        raise ValueError(f"baud={values['baud']!r} is not a baud rate from 50 to 20000000")
    if values["reader"] not in READERS:
        raise ValueError(f"reader={values['reader']!r} is none of {', '.join(READERS)}")
    return SerialTransport(target, int(values["baud"]), threaded=values["reader"] == "thread")


class SerialTransport:
    """One serial port, held exclusively."""

    framed = True

    def __init__(self, port: str, baud: int, threaded: bool) -> None:
        self.url = f"serial:{port}"
        self._port = port
        self._baud = baud
        self._threaded = threaded
        self._inlet = Inlet()
        self._serial: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._turn = asyncio.Lock()

    def now_ns(self) -> int:
        """Host's monotonic clock."""
        return time.monotonic_ns()

    async def open(self, sink: ChunkSink) -> None:
        """Open the port, at most `OPEN_TIMEOUT_S`: some drivers block for long."""
        if self._serial is not None:
            raise TransportError(f"{self.url}: is open already; close it first")
        self._loop = asyncio.get_running_loop()
        self._turn = asyncio.Lock()
        opening = self._loop.run_in_executor(None, self._open)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                self._serial = await asyncio.shield(opening)
        except TimeoutError:
            opening.add_done_callback(_close_late)
            raise TransportError(f"{self.url}: the port did not open within {OPEN_TIMEOUT_S:g} s") from None
        except asyncio.CancelledError:
            opening.add_done_callback(_close_late)
            raise
        self._inlet.start(sink)
        if self._threaded:
            self._closing = threading.Event()  # its own: a stuck reader must not wake when the port is opened again
            self._thread = threading.Thread(
                target=self._read_blocking, args=(self._loop, self._serial, self._closing),
                name=f"read {self.url}", daemon=True,
            )  # fmt: skip
            self._thread.start()
        else:
            self._loop.add_reader(self._serial.fileno(), self._readable)

    def _open(self) -> Any:
        try:
            timeout = THREAD_READ_TIMEOUT_S if self._threaded else 0
            return serial.Serial(self._port, self._baud, timeout=timeout, write_timeout=WRITE_TIMEOUT_S, exclusive=True)
        except _DRIVER_ERRORS as error:  # SerialException is an OSError; its errno may be missing
            number = getattr(error, "errno", None) or _errno_in(str(error))
            kind, advice = _OPEN_ERRORS.get(number or 0, (TransportError, f"cannot be opened ({error})"))
            raise kind(f"{self.url}: {advice}") from None

    async def write(self, data: bytes) -> None:
        """Send, at most `WRITE_TIMEOUT_S`. Writes at the same time wait for each other: frames must not mix."""
        port = self._serial
        if port is None:
            raise LinkLostError(f"{self.url}: the link is closed")
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S), self._turn:
                if self._threaded:
                    await self._write_blocking(port, data)
                else:
                    await self._write_descriptor(port, data)
        except TimeoutError:
            raise LinkLostError(f"{self.url}: the port took nothing for {WRITE_TIMEOUT_S:g} s") from None
        except (OSError, TypeError) as error:  # pyserial raises TypeError on a port that another thread closed
            raise LinkLostError(f"{self.url}: cannot write ({error})") from None

    async def _write_blocking(self, port: Any, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        if self._serial is not port or await loop.run_in_executor(None, port.write, data) != len(data):
            raise OSError("the link was closed")

    async def _write_descriptor(self, port: Any, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(port.fileno(), data) :]  # fileno() raises on a port that was closed meanwhile
            except BlockingIOError:
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Let go of the port."""
        self._inlet.stop()
        self._closing.set()
        port, self._serial = self._serial, None
        if port is None:
            return
        thread, self._thread = self._thread, None
        try:
            if thread is not None:
                with contextlib.suppress(OSError):
                    port.cancel_read()
                    port.cancel_write()
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(None, thread.join, 10 * THREAD_READ_TIMEOUT_S)
            elif self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(port.fileno())
        finally:
            port.close()

    def pause(self) -> None:
        """A serial port cannot be held back: the tool would overrun instead."""

    def resume(self) -> None:
        """See `pause`."""

    # -- the two readers ------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            data = os.read(self._serial.fileno(), READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._inlet.arrived(data)
        else:
            self._gone()

    def _read_blocking(self, loop: asyncio.AbstractEventLoop, port: Any, closing: threading.Event) -> None:
        while not closing.is_set():
            try:
                data = port.read(1)
                if data and (waiting := port.in_waiting):
                    data += port.read(waiting)
            except (OSError, TypeError):
                with contextlib.suppress(RuntimeError):  # the loop may have ended
                    loop.call_soon_threadsafe(self._gone)
                return
            if data:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(self._inlet.arrived, data)

    def _gone(self) -> None:
        if self._serial is not None and not self._threaded and self._loop is not None:
            self._loop.remove_reader(self._serial.fileno())
        self._inlet.ended(f"{self.url}: the port has gone away; plug the tool in again")


def _errno_in(text: str) -> int | None:
    """Pyserial hides the number in its message: ``[Errno 13] ...`` or ``(25, '...')``."""
    found = re.search(r"\[Errno (\d+)\]|\((\d+), ", text)
    return int(found[1] or found[2]) if found else None


def _close_late(opening: asyncio.Future[Any]) -> None:
    """A port that opened after nobody wanted it any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()
