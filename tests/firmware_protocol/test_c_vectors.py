"""The C codec against the golden vectors, both directions. The Python codec runs the same file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from firmware_protocol.c_codec import CODES, SOURCES, Leaf, ask, c_name, harness, hexed, leaves, payloads, schema, word

from firmware_protocol import golden

Question = tuple[str, list[str]]
"""A line for the harness, and how its answer begins."""
TABLE = golden.load()
TABLES = [t for t in TABLE["structs"] + TABLE["messages"] if c_name(t["name"]) in payloads()]
"""Structures that only stand inside messages are tested there."""


def words(table: dict[str, Any], case: dict[str, Any]) -> list[str]:
    """The values of a case as the harness speaks them."""
    definition = payloads()[c_name(table["name"])]
    elements = max((int(place.split("[")[1].split("]")[0]) + 1 for place, _, _ in case["rows"]
                    if place.startswith("reports[")), default=0)  # fmt: skip
    found: list[str] = []
    places = leaves(schema(), definition, elements)
    assert [leaf.path for leaf in places] == [place for place, _, _ in case["rows"]]
    for leaf, (_, _, octets) in zip(places, case["rows"], strict=True):
        found += _leaf(leaf, octets)
    return found


def _leaf(leaf: Leaf, octets: str) -> list[str]:
    if leaf.scalar in ("char", "bytes"):
        return [octets or "-"]
    size = 2 * (leaf.size // leaf.length) if leaf.length else 2
    assert leaf.scalar in CODES
    return [word(leaf.scalar, bytes.fromhex(octets[i : i + size])) for i in range(0, len(octets), size)]


def test_every_message_has_functions_in_c() -> None:
    assert {c_name(t["name"]) for t in TABLE["messages"]} <= set(payloads())


def both_directions() -> Iterator[Question]:
    for table in TABLES:
        name = c_name(table["name"])
        checked = "direction" in table and payloads()[name]["checked"]
        for case in table["cases"]:
            values = words(table, case)
            size = len(case["payload"]) // 2
            valid = "-" if not checked else "0" if case["problem"] else "1"
            yield f"get {name} {case['payload'] or '-'}", [valid, case["payload"], *values]
            yield f"put {name} {size} {' '.join(values)}", [case["payload"]]
            yield f"put {name} {size + 7} {' '.join(values)}", [case["payload"]]
            yield f"put {name} {size - 1} {' '.join(values)}", ["none"]


def refused() -> Iterator[Question]:
    for table in TABLES:
        for row in table["refused"]:
            yield f"get {c_name(table['name'])} {row['payload'] or '-'}", ["none"]


def longer() -> Iterator[Question]:
    """What a newer version adds is ignored."""
    for table in TABLES:
        cases = {case["case"]: case for case in table["cases"]}
        for row in table["longer"]:
            same = cases[row["as"]]
            valid = "-" if "direction" not in table or not payloads()[c_name(table["name"])]["checked"] else (
                "0" if same["problem"] else "1")  # fmt: skip
            yield f"get {c_name(table['name'])} {row['payload']}", [valid, same["payload"], *words(table, same)]


def ranges() -> Iterator[Question]:
    for table in TABLES:
        typical = next(case for case in table["cases"] if case["case"] == "typical")
        for row in table["ranges"] if "direction" in table else []:
            octets = bytes.fromhex(typical["payload"])
            new = bytes.fromhex(row["bytes"])
            payload = octets[: row["at"]] + new + octets[row["at"] + len(new) :]
            yield f"get {c_name(table['name'])} {payload.hex()}", ["0" if row["problem"] else "1", payload.hex()]


def framing() -> Iterator[Question]:
    pairs = [(case["message"], case["frame"]) for t in TABLES for case in t["cases"] if "message" in case]
    for message, frame in pairs + [(row["message"], row["frame"]) for row in TABLE["data"]]:
        yield f"frame {len(frame) // 2} {message}", [frame]
        yield f"frame {len(frame) // 2 - 1} {message}", ["none"]
        yield f"deframe {frame}", ["1", "0", "0", "0", message]
    for size in (0, 3, 245, 400):
        yield f"frame 999 {hexed(bytes(size))}", ["none"]


def data() -> Iterator[Question]:
    for row in TABLE["data"]:
        numbers = [str(number) for sample in row["samples"] for number in sample]
        header = f"16 0 {row['seq']} {row['stream']} {row['count']} {row['first_index']} {row['t0_us']}"
        kind = row["sample_type"].lower()
        room = len(row["message"]) // 2 - 18
        yield f"put data_header 18 {header}", [row["message"][:36]]
        yield f"get data_header {row['message']}", ["-", row["message"][:36], *header.split()]
        yield f"{kind} {room} {len(numbers)} {' '.join(numbers)}", [row["message"][36:]]
        yield f"{kind} {room - 1} {len(numbers)} {' '.join(numbers)}", ["none"]


def differences(rows: Iterable[Question], program: Path | None = None) -> list[str]:
    """Questions that are answered otherwise; an answer may say more at its end than what is expected."""
    asked = list(rows)
    answers = ask([line for line, _ in asked], program)
    return [line for (line, wanted), found in zip(asked, answers, strict=True) if found[: len(wanted)] != wanted]


@pytest.mark.parametrize(("rows", "least"), [
    (both_directions, 700), (refused, 80), (longer, 100), (ranges, 100), (framing, 400), (data, 24),
])  # fmt: skip
def test_vectors(rows: Callable[[], Iterator[Question]], least: int) -> None:
    assert len(list(rows())) >= least
    assert not differences(rows())


@pytest.mark.parametrize(("rows", "file", "right", "wrong"), [
    (both_directions, "nexus_messages.c", "value >>= 8;", "value >>= 7;"),
    (both_directions, "nexus_messages.c", "in[i - 1u]", "in[size - i]"),
    (both_directions, "nexus_messages.c", "return half;", "return (uint8_t)half;"),
    (refused, "nexus_messages.c", "> 224u ||", "> 225u ||"),
    (longer, "nexus_messages.c", "if (bytes > n)", "if (bytes != n)"),
    (ranges, "nexus_messages.c", "order_f32(values) > order_f32(&high)", "order_f32(values) >= order_f32(&high)"),
    (ranges, "nexus_messages.c", "bits < 0 ? INT32_MIN - bits", "bits < 0 ? -bits"),
    (framing, "nexus_frame.c", "crc >>= 8;", "crc <<= 8;"),
    (framing, "nexus_frame.c", "0x1DB71064u", "0x1DB71065u"),
    (data, "nexus_messages.c", "if (n > room / 2u)", "if (n > room)"),
])  # fmt: skip
def test_a_slip_in_the_codec_is_seen(
    rows: Callable[[], Iterator[Question]], file: str, right: str, wrong: str, tmp_path: Path
) -> None:
    """The control: what each comparison is there for, put in."""
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        if source.name == file:
            assert right in text
            text = text.replace(right, wrong)
        (tmp_path / source.name).write_text(text, encoding="utf-8")
    assert differences(rows(), harness([tmp_path / source.name for source in SOURCES], "-O0"))


def test_streams_of_frames() -> None:
    answers = ask([f"deframe {row['bytes'] or '-'}" for row in TABLE["frames"]])
    for row, found in zip(TABLE["frames"], answers, strict=True):
        counts = dict(zip(("good", "bad_cobs", "bad_crc", "bad_length"), map(int, found[:4]), strict=True))
        if "bad" in row["counts"]:
            counts = {"good": counts["good"], "bad": sum(counts.values()) - counts["good"]}
        assert (counts, found[4:]) == (row["counts"], row["messages"]), row["why"]
