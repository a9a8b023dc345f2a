"""The Wireshark dissector, run by tshark on captures that are written here: every golden vector, over TCP and BLE."""

from __future__ import annotations

import math
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import captures
import golden
import pytest
from captures import CONTROL_HANDLE, ETHERNET, HCI_H4, STREAM_HANDLE, Ble, Sniffed, Tcp
from generator.wire import data, framed, request, response, stream_message

from nexuslink.protocol.messages import MAX_MESSAGE, NEXUS_CONTROL_UUID, NEXUS_SERVICE_UUID, NEXUS_STREAM_UUID

TSHARK = shutil.which("tshark")
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(TSHARK is None, reason="tshark is not here; on Debian: apt-get install tshark"),
]
DISSECTOR = golden.PROTOCOL / "dissector/nexus.lua"
TABLE = golden.load()

Packet = ElementTree.Element


def tshark(capture: Path, *arguments: str) -> str:
    """What tshark prints. A mistake in the dissector's code shows in it as "Lua Error"."""
    done = subprocess.run(
        [str(TSHARK), "-n", "-X", f"lua_script:{DISSECTOR}", "-r", str(capture), *arguments],
        capture_output=True, text=True, timeout=60, check=False,
        env={"HOME": str(capture.parent), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Lua" not in done.stderr and "Lua Error" not in done.stdout, done.stderr
    return done.stdout


def dissect(path: Path, link_type: int, packets: Iterable[bytes], *arguments: str) -> list[Packet]:
    """The packets as PDML trees."""
    captures.write(path, link_type, packets)
    text = tshark(path, "-T", "pdml", "-J", "nexus nexus_frame btatt", *arguments)
    return list(ElementTree.fromstring(text).iter("packet"))


def dissect_each(path: Path, links: list[Tcp], *arguments: str) -> list[list[Packet]]:
    """Many connections in one capture: the packets of each."""
    packets = iter(dissect(path, ETHERNET, [packet for link in links for packet in link.packets], *arguments))
    return [[next(packets) for _ in link.packets] for link in links]


def connection(data: bytes, chunk: int, number: int) -> Tcp:
    """``data`` from the tool in segments of ``chunk`` bytes, in the connection with this number."""
    link = Tcp(host_port=50_000 + number)
    for at in range(0, len(data), chunk):
        link.send(data[at : at + chunk])
    return link


def fields(packet: Packet, prefix: str = "nexus.") -> list[Packet]:
    """Fields of that prefix, in wire order."""
    return [f for f in packet.iter("field") if f.get("name", "").startswith(prefix)]


def experts(packets: Iterable[Packet]) -> Counter[str]:
    """How often each expert information stands there."""
    known = ("nexus.malformed", "nexus.out_of_range", "nexus.unknown", "nexus.longer", "nexus.refused",
             "nexus.undescribed", "nexus_frame.bad_cobs", "nexus_frame.bad_crc", "nexus_frame.bad_length")  # fmt: skip
    inner = (f for packet in packets for f in packet.iter("field"))
    return Counter(name for f in inner if (name := f.get("name", "")) in known)


def messages_in(packets: Iterable[Packet]) -> int:
    """Whole messages."""
    return sum(len([f for f in fields(packet) if f.get("name") == "nexus.type"]) for packet in packets)


def leaves(rows: list[list[Any]]) -> Iterator[tuple[str, Any, str]]:
    """Rows as single numbers: (name of the field, value, bytes)."""
    for place, value, octets in rows:
        name = place.split(".")[-1].split("[")[0]
        if not isinstance(value, list):
            yield name, value, octets
            continue
        step = len(octets) // len(value)
        for n, item in enumerate(value):
            yield name, item, octets[n * step : (n + 1) * step]


def key_of(name: str) -> str:
    return "nexus." + "".join("_" + c.lower() if c.isupper() else c for c in name)[1:] + "."


def close(shown: str, value: Any) -> bool:
    """What tshark shows is the value, to the digits that it prints."""
    value = golden.number(value)
    if not isinstance(value, float):
        return int(shown, 0) == value
    if math.isnan(value):
        return math.isnan(float(shown))
    return shown == f"{value:.15g}" or math.isclose(float(shown), value, rel_tol=1e-5, abs_tol=1e-44)


def check_payload(packet: Packet, made: dict[str, Any], case: dict[str, Any]) -> None:
    """The dissected payload has the case's values, names, and bytes."""
    keys = (key_of(made["name"]), *(key_of(row["name"]) for row in TABLE["structs"]))
    shown = [f for f in fields(packet) if f.get("name", "").startswith(keys)]
    expected = [leaf for leaf in leaves(case["rows"]) if leaf[2]]
    assert len(shown) == len(expected), (made["name"], case["case"])
    for field, (name, value, octets) in zip(shown, expected, strict=True):
        where = (made["name"], case["case"], name)
        assert field.get("name", "").split(".")[-1] == name, where
        assert field.get("value") == octets, where
        if isinstance(value, str) and not value.startswith(("nan", "inf", "-inf")):
            assert field.get("show", "").replace(":", "") in (value, octets), where
        else:
            assert close(field.get("show", ""), value), where


CASES = [(made, case) for made in TABLE["messages"] if made["direction"] != "record" for case in made["cases"]]


def test_every_vector_over_tcp(tmp_path: Path) -> None:
    link = Tcp()
    for made, case in CASES:
        link.send(bytes.fromhex(case["frame"]), from_tool=made["direction"] != "request")
    packets = dissect(tmp_path / "c.pcap", ETHERNET, link.packets)[2:]
    assert messages_in(packets) == len(packets) == len(CASES)
    for packet, (made, case) in zip(packets, CASES, strict=True):
        check_payload(packet, made, case)
        outside = experts([packet])["nexus.out_of_range"]
        assert bool(outside) == (case["problem"] is not None), (made["name"], case["case"])
    found = experts(packets)
    assert not found["nexus.malformed"] + found["nexus_frame.bad_crc"] + found["nexus.longer"]
    made, case = CASES[0]
    changed = {**case, "rows": [[place, value, "ff"] for place, value, _ in case["rows"]]}
    with pytest.raises(AssertionError):
        check_payload(packets[0], made, changed)


@pytest.mark.parametrize("kind", [Ble, Sniffed])
def test_every_vector_over_ble(tmp_path: Path, kind: type[Ble]) -> None:
    link = kind()
    link.discover(NEXUS_SERVICE_UUID, NEXUS_STREAM_UUID, NEXUS_CONTROL_UUID)
    before = len(link.packets)
    for made, case in CASES:
        message = bytes.fromhex(case["message"])
        if made["direction"] == "request":
            link.request(message)
        else:
            link.notify(STREAM_HANDLE if made["direction"] == "stream" else CONTROL_HANDLE, message)
    packets = dissect(tmp_path / "c.pcap", link.LINK_TYPE, link.packets)[before:]
    assert messages_in(packets) == len(CASES)
    for packet, (made, case) in zip(packets, CASES, strict=True):
        check_payload(packet, made, case)


def test_handles_that_no_discovery_tells(tmp_path: Path) -> None:
    link = Ble()
    link.notify(STREAM_HANDLE, bytes.fromhex(CASES[-1][1]["message"]))
    assert messages_in(dissect(tmp_path / "c.pcap", HCI_H4, link.packets)) == 0
    told = dissect(tmp_path / "c.pcap", HCI_H4, link.packets, "-o", f"nexus.handles:{STREAM_HANDLE},{CONTROL_HANDLE}")
    assert messages_in(told) == 1


def descriptor(stream: int, sample_type: int, channels: int) -> bytes:
    """A DESCRIBE response: one group with ``channels`` channels, half a unit a count."""
    rows = next(m for m in TABLE["messages"] if m["name"] == "StreamDescriptor")["cases"][1]["rows"]  # all zeros
    changes = {"stream": f"{stream:02x}", "sample_type": f"{sample_type:02x}", "groups[0].channels": f"{channels:02x}",
               "groups[0].scale": "000000000000e03f"}  # fmt: skip
    return response(0, 1, 3, 0, bytes.fromhex("".join(changes.get(place, octets) for place, _, octets in rows)))


def test_samples(tmp_path: Path) -> None:
    link = Tcp()
    for row in TABLE["data"]:
        types = {"I16": 1, "I32": 2}
        link.send(framed(descriptor(row["stream"], types[row["sample_type"]], len(row["samples"][0]))))
        link.send(bytes.fromhex(row["frame"]))
    packets = dissect(tmp_path / "c.pcap", ETHERNET, link.packets)[3::2]
    for packet, row in zip(packets, TABLE["data"], strict=True):
        shown = {f.get("name", ""): f.get("show", "") for f in fields(packet)}
        for name in ("seq", "stream", "count", "first_index", "t0_us"):
            assert int(shown[f"nexus.{name}"]) == row[name]
        found = [int(f.get("show", "")) for f in fields(packet, "nexus.sample")]
        assert found == [number for sample in row["samples"] for number in sample]
    first = next(f for f in fields(packets[1], "nexus.sample"))
    assert first.get("showname", "").endswith(f"= {-(1 << 31) / 2:.6g}")
    assert experts(packets) == Counter()


def test_samples_that_do_not_fit_and_streams_that_nobody_described(tmp_path: Path) -> None:
    link = Tcp()
    good = data(0, 1, 2, 0, 0, bytes(8))
    for message in (good, descriptor(1, 1, 2), good, good[:-1], good + b"\0", data(1, 1, 0, 0, 0, b""), good[:12]):
        link.send(framed(message))
    packets = dissect(tmp_path / "c.pcap", ETHERNET, link.packets)[2:]
    assert [experts([p])["nexus.malformed"] for p in packets] == [0, 0, 0, 1, 1, 1, 1]
    assert [experts([p])["nexus.undescribed"] for p in packets] == [1, 0, 0, 0, 0, 0, 0]


def test_the_calibration_record_is_put_together(tmp_path: Path) -> None:
    made = next(m for m in TABLE["messages"] if m["name"] == "CalibrationRecord")
    case = next(c for c in made["cases"] if c["case"] == "every byte another")
    record = bytes.fromhex(case["payload"])
    read, write = Tcp(), Tcp()
    for at in range(0, len(record), 200):
        piece = record[at : at + 200]
        head = at.to_bytes(2, "little") + bytes([len(piece)]) + piece
        read.send(framed(response(0, at + 1, 0x0A, 0, len(record).to_bytes(2, "little") + head)))
        write.send(framed(request(0, at + 1, 0x0C, head)), from_tool=False)
    write.send(framed(request(0, 999, 0x0D, len(record).to_bytes(2, "little") + bytes(4))), from_tool=False)
    for link in (read, write):
        packets = dissect(tmp_path / "c.pcap", ETHERNET, link.packets)
        assert sum(len(fields(p, "nexus.calibration_record.")) for p in packets[:-1]) == 0
        check_payload(packets[-1], made, case)


def test_frames_over_segments(tmp_path: Path) -> None:
    frames = [bytes.fromhex(case["frame"]) for _, case in CASES[:40]]
    stream = b"".join(frames)
    two = Tcp()
    two.send(frames[0][:5])
    two.send(frames[0][5:])
    packets = dissect(tmp_path / "c.pcap", ETHERNET, two.packets)
    assert [messages_in([p]) for p in packets] == [0, 0, 0, 1]
    check_payload(packets[-1], *CASES[0])
    sizes = (1, 7, 100, 1460, 10**6)
    parts = [stream[: 300 * size] for size in sizes]
    links = [connection(part, size, n) for n, (part, size) in enumerate(zip(parts, sizes, strict=True))]
    for part, found in zip(parts, dissect_each(tmp_path / "c.pcap", links), strict=True):
        assert messages_in(found) == part.count(0)
        assert not any(name.startswith("nexus_frame") for name in experts(found))


def test_frames_of_every_kind(tmp_path: Path) -> None:
    """As the golden vectors count them, each row in connections of its own."""
    rows = [(row, chunk) for row in TABLE["frames"] for chunk in (100, 10**6)]
    links = [connection(bytes.fromhex(row["bytes"]), chunk, n) for n, (row, chunk) in enumerate(rows)]
    for (row, chunk), found in zip(rows, dissect_each(tmp_path / "c.pcap", links), strict=True):
        counts = {name: experts(found)[f"nexus_frame.{name}"] for name in ("bad_cobs", "bad_crc", "bad_length")}
        counts = {"good": messages_in(found), **counts}
        if "bad" in row["counts"]:
            counts = {"good": counts.pop("good"), "bad": sum(counts.values())}
        assert counts == row["counts"], (row["why"], chunk)


def test_payloads_that_are_no_such_message(tmp_path: Path) -> None:
    link = Tcp()
    codes = {}
    for made, case in CASES:
        codes[made["name"]] = bytes.fromhex(case["message"])[: 4 if made["direction"] == "stream" else 8]
    sent = [
        (made["name"], refused) for made in TABLE["messages"] if made["name"] in codes for refused in made["refused"]
    ]
    for name, refused in sent:
        link.send(framed(codes[name] + bytes.fromhex(refused["payload"])))
    packets = dissect(tmp_path / "c.pcap", ETHERNET, link.packets)[2:]
    for packet, (name, refused) in zip(packets, sent, strict=True):
        assert experts([packet])["nexus.malformed"] == 1, (name, refused["why"])


def test_what_later_versions_and_vendors_send(tmp_path: Path) -> None:
    status = bytes.fromhex(next(c for m, c in CASES if m["name"] == "StatusMessage")["message"])
    rows = (
        (status + b"\x01\x02", "nexus.longer"), (stream_message(0x20, 0, b"abc"), "nexus.unknown"),
        (stream_message(0x90, 0, b""), "nexus.unknown"), (request(0, 1, 0x55, b"?"), "nexus.unknown"),
        (response(0, 1, 0x55, 1, b""), "nexus.refused"), (response(0, 1, 5, 0x44, b""), "nexus.refused"),
    )  # fmt: skip
    links = [connection(framed(message), 300, n) for n, (message, _) in enumerate(rows)]
    for (message, kind), packets in zip(rows, dissect_each(tmp_path / "c.pcap", links), strict=True):
        found = experts(packets)
        assert found[kind] and not found["nexus.malformed"], (message, found)


def test_requests_and_responses_find_each_other(tmp_path: Path) -> None:
    link = Tcp()
    for n in range(3):
        link.send(framed(request(n, 100 + n, 2, b"")), from_tool=False)
    for n in range(3):
        link.send(framed(response(n, 100 + n, 2, 3, b"")))
    packets = dissect(tmp_path / "c.pcap", ETHERNET, link.packets, "-2")[2:]
    links = [{f.get("name"): f.get("show") for f in fields(p)} for p in packets]
    assert [row.get("nexus.response_in") for row in links[:3]] == ["6", "7", "8"]
    assert [row.get("nexus.request_in") for row in links[3:]] == ["3", "4", "5"]
    assert all(float(str(row["nexus.response_time"])) == pytest.approx(0.003, abs=1e-6) for row in links[3:])


def test_ports(tmp_path: Path) -> None:
    """Found by its frames on a strange port; by the preference even where the first bytes say nothing."""
    frame, noise = bytes.fromhex(CASES[0][1]["frame"]), b"no frame at all, twenty bytes"
    found, hidden = Tcp(port=5999), Tcp(port=5999)
    found.send(frame)
    hidden.send(noise)
    hidden.send(frame)
    hidden.send(frame)
    told = dissect(tmp_path / "c.pcap", ETHERNET, hidden.packets, "-o", "nexus.ports:5999")
    assert messages_in(told) == 1  # the first frame is lost to the noise before it
    other = Tcp(port=5999, host_port=50_001)
    other.send(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n\0")
    both = dissect_each(tmp_path / "c.pcap", [found, other])
    assert [messages_in(packets) for packets in both] == [1, 0]


def test_hostile_bytes(tmp_path: Path) -> None:
    """Nothing in a message or frame makes the dissector stumble (`tshark` looks for its errors)."""
    rng = random.Random(4)
    link, ble = Tcp(), Ble()
    ble.discover(NEXUS_SERVICE_UUID, NEXUS_STREAM_UUID, NEXUS_CONTROL_UUID)
    link.send(framed(descriptor(1, 1, 200)))
    for _ in range(300):
        kind = rng.choice([1, 2, 2, 0x10, 0x11, 0x12, 0x13, 0x14, rng.randrange(256)])
        message = bytes([kind, 0, 0, 0, rng.randrange(3), 0, rng.randrange(24), rng.choice([0, 0, 4, 200])])
        message = (message + rng.randbytes(rng.randrange(MAX_MESSAGE - 8)))[: rng.choice([3, 4, 7, 9, 20, 244])]
        link.send(framed(message) if rng.random() < 0.9 else rng.randbytes(rng.randrange(1, 400)))
        ble.notify(CONTROL_HANDLE, message)
    packets = dissect(tmp_path / "c.pcap", ETHERNET, link.packets)
    assert messages_in(packets) > 150 and experts(packets)["nexus.malformed"] > 30
    assert messages_in(dissect(tmp_path / "b.pcap", HCI_H4, ble.packets)) > 200
