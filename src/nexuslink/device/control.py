"""Requests of one link on their way: written, repeated, answered, or failed in words.

What may be asked when is `Exchange`'s business; what an answer means is the caller's. Messages that nobody waits for
(retries, those whose turn has come, time syncs) go through a bounded outbox, so that nothing here ever blocks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from nexuslink.device.errors import BusyError, DeviceError, NoAnswerError
from nexuslink.protocol.decoder import Decoder
from nexuslink.protocol.envelope import Response
from nexuslink.protocol.exchange import WAITING_MAX, Asked, Exchange, Failure
from nexuslink.protocol.framing import frame
from nexuslink.protocol.messages import Opcode
from nexuslink.transport.base import Transport
from nexuslink.transport.errors import LinkLostError, TransportError

OUTBOX: Final = 64
"""Messages waiting to be written; more than that means that the link takes nothing."""
WALL_BOUND_S: Final = 10.0
"""Behind every wait: even if the transport neither delivers nor ticks, nobody waits longer."""


class Control:
    """One link's requests. The decoder is asked what has been received, for the words of a failure."""

    def __init__(self, transport: Transport, decoder: Decoder) -> None:
        self.exchange = Exchange()
        self.drops = 0
        """Messages not sent because the link took nothing."""
        self._transport = transport
        self._decoder = decoder
        self._waiters: dict[int, asyncio.Future[Response]] = {}
        self._outbox: asyncio.Queue[bytes] = asyncio.Queue(OUTBOX)
        self._writer: asyncio.Task[None] | None = None

    def open(self, lost: Callable[[str], None]) -> None:
        """The link is open: begin to write. ``lost(reason)`` is told when that fails."""
        self._writer = asyncio.create_task(self._write_outbox(lost), name=f"write {self._transport.url}")

    async def close(self) -> None:
        """Write no more."""
        writer, self._writer = self._writer, None  # a task that has ended would keep everything it knew alive
        if writer is not None:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    async def ask(self, opcode: Opcode, payload: bytes, timeout_ns: int) -> Response:
        """Send a request that is allowed, wait for its answer, whatever its status. Always bounded."""
        url = self._transport.url
        if self.exchange.full:
            raise BusyError(f"{url}: {WAITING_MAX} requests wait already; {opcode.name} was not sent, ask less at once")
        request_id, message = self.exchange.request(opcode, payload, self._transport.now_ns(), timeout_ns)
        waiter: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiters[request_id] = waiter
        try:
            async with asyncio.timeout(WALL_BOUND_S):
                if message is not None:
                    await self._transport.write(self._carried(message))
                return await waiter
        except TimeoutError:
            raise self._failure(opcode.name, Failure.SILENCE) from None
        except OSError as error:  # third-party transports
            raise LinkLostError(f"{url}: {error.strerror or error}") from None
        finally:
            if waiter.done() and not waiter.cancelled():
                waiter.exception()  # told of the link's end while it was still being written: the writer says it
            self._waiters.pop(request_id, None)
            if waiter.done() and not waiter.cancelled():
                waiter.exception()  # looked at: where the write has failed nobody else does
            self.exchange.forget(request_id)

    def tell(self, opcode: Opcode, payload: bytes) -> None:
        """Send a request whose answer nobody waits for."""
        _, message = self.exchange.request(opcode, payload, self._transport.now_ns())
        if message is not None:
            self._post(message)

    def answered(self, response: Response) -> Asked | None:
        """Take a response; what it answers, or ``None`` where nobody waits for it. Wakes whoever asked."""
        asked = self.exchange.answered(response)
        if asked is not None:
            waiter = self._waiters.get(asked.request_id)
            if waiter is not None and not waiter.done():
                waiter.set_result(response)
        return asked

    def keep_time(self, now_ns: int) -> None:
        """Repeat what is unanswered, send what has waited, give up what has taken too long."""
        messages, expired = self.exchange.poll(now_ns)
        for message in messages:
            self._post(message)
        for request in expired:
            waiter = self._waiters.get(request.request_id)
            if waiter is not None and not waiter.done():
                waiter.set_exception(self._failure(Opcode(request.opcode).name, request.why))

    def end(self, reason: str) -> None:
        """The link has ended: nobody waits any longer."""
        for waiter in self._waiters.values():
            if not waiter.done():
                waiter.set_exception(LinkLostError(reason))

    def _carried(self, message: bytes) -> bytes:
        return frame(message) if self._transport.framed else message

    def _post(self, message: bytes) -> None:
        """Send without waiting. A full outbox drops it, counted: the request's own retry or time-out tells."""
        if self._outbox.full():
            self.drops += 1
        else:
            self._outbox.put_nowait(self._carried(message))

    async def _write_outbox(self, lost: Callable[[str], None]) -> None:
        while True:
            data = await self._outbox.get()
            try:
                await self._transport.write(data)
            except (TransportError, OSError) as error:
                lost(str(error))
                return

    def _failure(self, opcode: str, why: Failure) -> DeviceError:
        url, frames = self._transport.url, self._decoder.frames
        if why is Failure.BUSY:
            return BusyError(f"{url}: the tool answers {opcode} with BUSY all the time; switch it off and on")
        if why is Failure.UNSENT:
            return BusyError(f"{url}: {opcode} was not sent, too many requests were under way; ask less at once")
        if frames.bad > frames.good:
            return NoAnswerError(
                f"{url}: no answer to {opcode}, but {frames.bad} frames that cannot be read; is it a Nexus?"
            )
        return NoAnswerError(f"{url}: no answer to {opcode}; is it a Nexus, switched on, and free of other programs?")
