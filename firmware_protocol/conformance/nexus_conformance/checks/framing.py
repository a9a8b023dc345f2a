"""Frames that are damaged, late, in pieces or idle: the tool is back in step at the next zero. Byte streams only."""

from __future__ import annotations

import random
from typing import Final

from nexus_conformance.host import ANSWER_S, Host
from nexus_conformance.requirement import NotApplicable, Requirement, need
from nexus_conformance.session import streaming, take_status
from nexuslink.protocol.framing import MAX_FRAME, frame
from nexuslink.protocol.messages import MAX_PENDING, REQUEST_HEADER, STATUS_PERIOD_US, MessageType, Opcode

GARBAGE_BYTES: Final = 300
OVER_LONG_BYTES: Final = 4 * MAX_FRAME
ZEROS: Final = 200
DAMAGED: Final = 3
"""Frames with a wrong CRC that STATUS must count."""
STRANGE_IDS: Final = (0xF001, 0xF002, 0xF003)
STATUS_AFTER_S: Final = STATUS_PERIOD_US * 1e-6 * 1.1


def damaged(message: bytes) -> bytes:
    """A frame whose check does not fit."""
    whole = bytearray(frame(message))
    # The byte before the zero belongs to the check: another value there, and never a zero, leaves the COBS in order.
    whole[-2] = whole[-2] ^ 0x55 or 0x01
    return bytes(whole)


async def _alive(host: Host, what: str) -> str:
    """A request after ``what`` is answered at its first sending; how soon."""
    message = host.request(Opcode.TOTALS)
    sent_ns = host.transport.now_ns()
    answer = await host.send_once(message, ANSWER_S)
    need(answer is not None, f"after {what} the next request was not answered within {ANSWER_S:g} s")
    assert answer is not None
    return f"after {what} answered in {(answer.arrival_ns - sent_ns) / 1e6:.1f} ms"


async def _garbage(host: Host) -> str:
    """Noise, zeros in it, cut off in the middle of a frame."""
    noise = random.Random("garbage").randbytes(GARBAGE_BYTES)
    await host.write(noise + b"\x07cut" + b"\0")
    return await _alive(host, f"{len(noise)} bytes of noise and a zero")


async def _wrong_crc(host: Host) -> str:
    """Would a request with a wrong check be answered?"""
    message = host.request(Opcode.TOTALS)
    host.expect(message)
    await host.write(damaged(message))
    alive = await _alive(host, "a request with a wrong CRC")
    need(not host.answers(message), "a request with a wrong CRC was answered")
    return f"it was not answered; {alive}"


async def _over_long(host: Host) -> str:
    """Far more than the longest frame before the next zero."""
    await host.write(b"\x01" * OVER_LONG_BYTES + b"\0")
    return await _alive(host, f"a frame of {OVER_LONG_BYTES} bytes")


async def _zeros(host: Host) -> str:
    """Idle fill."""
    await host.write(bytes(ZEROS))
    return await _alive(host, f"{ZEROS} zeros")


async def _pieces(host: Host) -> str:
    """One byte a write."""
    message = host.request(Opcode.TOTALS)
    host.expect(message)
    cut = frame(message)
    for at in range(len(cut)):
        await host.write(cut[at : at + 1])
    await host.wait(lambda: bool(host.answers(message)), ANSWER_S)
    need(bool(host.answers(message)), f"a frame in {len(cut)} writes of one byte was not answered")
    return f"a frame in {len(cut)} writes of one byte was answered"


async def _together(host: Host) -> str:
    """Several frames in one write."""
    messages = [host.request(Opcode.TOTALS) for _ in range(MAX_PENDING)]
    for message in messages:
        host.expect(message)
    await host.send(*messages)
    await host.wait(lambda: all(host.answers(m) for m in messages), ANSWER_S)
    answered = sum(bool(host.answers(m)) for m in messages)
    evidence = f"{answered} of {len(messages)} requests in one write were answered"
    need(answered == len(messages), evidence)
    return evidence


async def _foreign(host: Host) -> str:
    """Whole frames that are no requests."""
    half = REQUEST_HEADER.pack(MessageType.REQUEST, 0, 0, STRANGE_IDS[0], Opcode.TOTALS, 0)[:-2]
    strangers = {
        "less than a header": b"\x01\x00",
        "half a request": half,
        "a response": REQUEST_HEADER.pack(MessageType.RESPONSE, 0, 0, STRANGE_IDS[1], Opcode.TOTALS, 0),
        "an unknown type": REQUEST_HEADER.pack(0x7F, 0, 0, STRANGE_IDS[2], Opcode.TOTALS, 0),
    }
    await host.send(*strangers.values())
    alive = await _alive(host, ", ".join(strangers))
    answered = sum(map(host.answered, STRANGE_IDS))
    need(answered == 0, f"{answered} of {len(strangers)} messages that are no requests were answered")
    return alive


async def _counted(host: Host) -> str:
    """STATUS says how many frames could not be read."""
    async with streaming(host) as session:
        at = session.first_heard

        async def next_count() -> int:
            nonlocal at

            def found() -> bool:
                return any(take_status(h) is not None for h in host.heard[at:])

            came = await host.wait(found, 4 * STATUS_AFTER_S)
            if not came:
                raise NotApplicable("no STATUS came to read the count from, see NX-STR-008")
            at, status = next((i + 1, s) for i, h in enumerate(host.heard) if i >= at and (s := take_status(h)))
            return status.bad_frames

        before = await next_count()
        for _ in range(DAMAGED):
            message = host.request(Opcode.TOTALS)
            host.expect(message)
            await host.write(damaged(message))
        await host.write(bytes(ZEROS))
        after = await next_count()
    evidence = f"bad_frames rose by {after - before} after {DAMAGED} damaged frames and {ZEROS} zeros"
    need(after - before == DAMAGED, evidence)
    return evidence


REQUIREMENTS: Final = tuple(
    Requirement(id_, sentence, "framing", check, framed=True)
    for id_, sentence, check in (
        ("NX-FRM-001", "After any bytes, the frame that follows the next zero is read.", _garbage),
        ("NX-FRM-002", "A frame whose CRC-32 does not fit is neither carried out nor answered.", _wrong_crc),
        (
            "NX-FRM-003",
            "A frame longer than the longest possible one is discarded up to its zero, not kept.",
            _over_long,
        ),
        ("NX-FRM-004", "Zeros between frames are idle fill.", _zeros),
        ("NX-FRM-005", "A frame may come in pieces of any size.", _pieces),
        ("NX-FRM-006", "Frames that come together are all read, MAX_PENDING requests at least.", _together),
        ("NX-FRM-007", "A whole frame that holds no request is ignored.", _foreign),
        ("NX-FRM-008", "STATUS.bad_frames counts each frame that could not be read, and nothing else.", _counted),
    )
)
