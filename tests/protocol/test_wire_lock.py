"""Golden bytes: what is on the wire today must be readable for ever.

If a test here fails after a change of the schema, the change breaks tools and recordings that exist: it needs a new
major version, or it has to be made at the end of a payload. Never just renew the bytes.
"""

from __future__ import annotations

import pytest

from nexuslink.protocol import envelope
from nexuslink.protocol.decoder import Decoder
from nexuslink.protocol.framing import CRC_SIZE, Deframer, frame
from nexuslink.protocol.messages import (
    ChannelGroup,
    HelloRequest,
    HelloResponse,
    InfoResponse,
    SessionTotals,
    StartRequest,
    StartResponse,
    Status,
    StatusMessage,
    StopRequest,
    StopResponse,
    StreamDescriptor,
    TareRequest,
    TareResponse,
    TimeSyncRequest,
    TimeSyncResponse,
)


def wire(text: str) -> bytes:
    """Bytes from rows of ``hex | meaning``."""
    return bytes.fromhex("".join(row.partition("|")[0] for row in text.splitlines()))


FORCE = StreamDescriptor(
    0, 1, 2, 250.0, 7, (ChannelGroup(1, 2, 0.0001220703125, 200.0), ChannelGroup(0, 0, 0.0, 0.0)),
    3, 50.0, 1000.0,
)  # fmt: skip
PAYLOADS = {
    "HELLO request": (HelloRequest(1, 0), """
        01                       | protocol_major
        00                       | protocol_minor
    """),
    "HELLO response": (HelloResponse(1, 0, 0x09465DF59BCDBC2E, 0xCAFE0001, "CN-0001", 0x0A0B0C0D, 244), """
        01                       | protocol_major
        00                       | protocol_minor
        2e bc cd 9b f5 5d 46 09  | schema_hash
        01 00 fe ca              | boot_id
        43 4e 2d 30 30 30 31 00 00 00 00 00 00 00 00 00 | serial_number "CN-0001"
        0d 0c 0b 0a              | description_crc
        f4 00                    | max_message 244
    """),
    "INFO response": (InfoResponse((1, 2, 3), (4, 5), "Nexus", 3, 2, 7, 489), """
        01 02 03                 | firmware_version 1.2.3
        04 05                    | hardware_version 4.5
        4e 65 78 75 73 00 00 00 00 00 00 00 00 00 00 00 | model "Nexus"
        03 00 00 00              | capabilities: simulated, tare
        02                       | stream_count
        07 00 00 00              | calibration_id
        e9 01                    | calibration_size 489
    """),
    "DESCRIBE response": (FORCE, """
        00                       | stream
        01                       | kind force
        02                       | sample_type i32
        00 00 00 00 00 40 6f 40  | rate_hz 250.0
        07 00 00 00              | calibration_id
        01 02                    | groups[0]: newtons, 2 channels
        00 00 00 00 00 00 20 3f  | .scale 2^-13
        00 00 48 43              | .full_scale 200.0
        00 00                    | groups[1]: not used
        00 00 00 00 00 00 00 00
        00 00 00 00
        03 00                    | channel_mask: both
        00 00 48 42              | rate_min_hz 50.0
        00 00 7a 44              | rate_max_hz 1000.0
    """),
    "TIME_SYNC request": (TimeSyncRequest(0x0102030405060708), "08 07 06 05 04 03 02 01 | host_send_ns"),
    "TIME_SYNC response": (TimeSyncResponse(1, 2, 0x8000000000000003), """
        01 00 00 00 00 00 00 00  | host_send_ns
        02 00 00 00 00 00 00 00  | device_receive_us
        03 00 00 00 00 00 00 80  | device_send_us
    """),
    "START request": (StartRequest(0b11), "03 00 00 00 | stream_mask: streams 0 and 1"),
    "START response": (StartResponse(1_000_000, 3), "40 42 0f 00 00 00 00 00 03 00 00 00 | t_us, session"),
    "STOP request": (StopRequest(2), "02 | reason: over force"),
    "STOP response": (StopResponse(1_000_000, SessionTotals(3, 40, 1, (250, 500, 0, 0x0102030405060708))), """
        40 42 0f 00 00 00 00 00  | t_us
        03 00 00 00              | totals.session
        28 00 00 00              | .sent
        01 00 00 00              | .dropped
        fa 00 00 00 00 00 00 00  | .samples[0] 250
        f4 01 00 00 00 00 00 00  | .samples[1] 500
        00 00 00 00 00 00 00 00  | .samples[2]
        08 07 06 05 04 03 02 01  | .samples[3]
    """),
    "TARE request": (TareRequest(250), "fa 00 | window_ms"),
    "TARE response": (TareResponse(1_000_000, 62, (-1, 0x00123456)), """
        40 42 0f 00 00 00 00 00  | t_us
        3e 00                    | samples
        ff ff ff ff              | mean_counts psoas -1
        56 34 12 00              | mean_counts iliacus
    """),
    "STATUS": (StatusMessage(1_000_000, 87, -250, 40, 1, 3, 244, 7500, 5, 2), """
        40 42 0f 00 00 00 00 00  | t_us
        57                       | battery_percent 87
        06 ff                    | temperature_cdeg -2.50
        28 00 00 00              | produced
        01 00 00 00              | dropped
        03 00                    | queue_high_water
        f4 00                    | max_message
        4c 1d 00 00              | interval_us 7500
        05 00 00 00              | bad_frames
        02 00                    | errors
    """),
}  # fmt: skip


@pytest.mark.parametrize("name", PAYLOADS)
def test_payloads(name: str) -> None:
    message, text = PAYLOADS[name]
    assert message.pack().hex(" ") == wire(text).hex(" ")
    assert type(message).unpack(wire(text)) == message


def test_a_request() -> None:
    assert envelope.pack_request(3, 0x0102, 7, b"\xfa\x00") == wire("""
        01        | type REQUEST
        00        | flags
        03 00     | seq
        02 01     | request_id
        07        | opcode TARE
        00        | reserved
        fa 00     | payload
    """)


def test_a_response() -> None:
    assert envelope.pack_response(3, 0x0102, 7, Status.BAD_STATE) == wire("""
        02        | type RESPONSE
        00        | flags
        03 00     | seq
        02 01     | request_id
        07        | opcode TARE
        03        | status BAD_STATE
    """)


DATA = wire("""
    10                       | type DATA
    00                       | flags
    05 00                    | seq
    00                       | stream
    02                       | count
    0a 00 00 00              | first_index
    40 42 0f 00 00 00 00 00  | t0_us
    01 00 00 00 ff ff ff ff  | first sample: 1, -1
    00 00 80 ff 56 34 12 00  | second sample: -2^23, 0x123456
""")


def test_data() -> None:
    assert envelope.pack_data(5, 0, 2, 10, 1_000_000, DATA[18:]) == DATA
    decoder = Decoder(framed=False)
    decoder.describe([FORCE])
    (batch,) = decoder.feed(DATA).batches
    assert (batch.stream, batch.first_index) == (0, 10)
    assert batch.t_us.tolist() == [1_000_000, 1_004_000]
    assert batch.raw.tolist() == [[1, -1], [-(2**23), 0x123456]]


def test_a_frame() -> None:
    """COBS(message + CRC-32), then a zero. The CRC's own check value is that of "123456789": cbf43926."""
    assert frame(b"123456789") == wire("0e 31 32 33 34 35 36 37 38 39 26 39 f4 cb 00")
    framed = wire("""
        02 11                    | 1 byte, then a zero
        03 01 02                 | 2 bytes, then a zero
        05 9a 41 56 a8           | the CRC-32 a856419a: 4 bytes, then the end
        00                       | boundary
    """)
    assert frame(wire("11 00 01 02 00")) == framed
    (message,) = Deframer().feed(framed)
    assert message[:-CRC_SIZE] == wire("11 00 01 02 00")
