"""Who reads the tool on the pseudo-terminal: a bare selectors loop, and the product."""

from __future__ import annotations

import asyncio
import os
import selectors
import time
import tty

import nexuslink
from nexuslink.protocol.chunk import Chunk
from nexuslink.protocol.decoder import Decoded
from nexuslink.protocol.envelope import pack_request
from nexuslink.protocol.framing import Deframer, frame
from nexuslink.protocol.messages import DATA_HEADER, MessageType, Opcode, StartRequest

READ_SIZE = 65_536


def bare(port: str, seconds: float) -> list[tuple[int, bytes]]:
    """Bytes and when they were there, monotonic nanoseconds. Nothing is done with them."""
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    got: list[tuple[int, bytes]] = []
    try:
        tty.setraw(descriptor)
        os.write(descriptor, frame(pack_request(0, 1, Opcode.START, StartRequest(0xFFFFFFFF).pack())))
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                for _ in selector.select(left):
                    data = os.read(descriptor, READ_SIZE)
                    got.append((time.monotonic_ns(), data))
    finally:
        os.close(descriptor)
    return got


def latencies_us(got: list[tuple[int, bytes]]) -> list[float]:
    """Of every message in what `bare` read: arrival minus the stamp it carries."""
    deframer = Deframer()
    found = []
    for arrival_ns, data in got:
        for message in deframer.feed(data):
            if message[0] == MessageType.DATA:
                found.append(arrival_ns / 1000 - DATA_HEADER.unpack_from(message)[6])
    return found


def product(port: str, seconds: float) -> list[float]:
    """Microseconds from each message's stamp to the product's callback with the decoded array; one sample a message."""
    found: list[float] = []

    def listen(_: Chunk, decoded: Decoded) -> None:
        now_us = time.monotonic_ns() / 1000
        for batch in decoded.batches:
            found.extend((now_us - batch.t_us).tolist())

    async def read() -> None:
        async with nexuslink.connect(f"serial:{port}") as nexus:
            nexus.add_listener(listen)
            await nexus.start()
            await asyncio.sleep(seconds)
            nexus.remove(listen)

    asyncio.run(read())
    return found
