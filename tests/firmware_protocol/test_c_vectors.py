"""The C codec against the golden vectors, both directions. The Python codec runs the same file."""

from __future__ import annotations

from typing import Any

import pytest

from firmware_protocol import golden
from firmware_protocol.c_codec import CODES, ask, c_name, hexed, payloads, schema, word
from generator.wire import Leaf, leaves

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


def whole(table: dict[str, Any], case: dict[str, Any]) -> tuple[str, str] | None:
    return (case["message"], case["frame"]) if "message" in case else None


def test_every_message_has_functions_in_c() -> None:
    assert {c_name(t["name"]) for t in TABLE["messages"]} <= set(payloads())


def test_every_case_in_both_directions() -> None:
    lines, expected = [], []
    for table in TABLES:
        name = c_name(table["name"])
        for case in table["cases"]:
            values = words(table, case)
            size = len(case["payload"]) // 2
            valid = "-" if not payloads()[name]["checked"] or "direction" not in table else (
                "0" if case["problem"] else "1")  # fmt: skip
            lines += [
                f"get {name} {case['payload'] or '-'}",
                f"put {name} {size} {' '.join(values)}",
                f"put {name} {size + 7} {' '.join(values)}",
                f"put {name} {size - 1} {' '.join(values)}",
            ]
            expected += [[valid, case["payload"], *values], [case["payload"]], [case["payload"]], ["none"]]
    assert len(lines) > 600
    for line, found, wanted in zip(lines, ask(lines), expected, strict=True):
        assert found == wanted, line


def test_what_is_refused() -> None:
    lines = [f"get {c_name(t['name'])} {row['payload'] or '-'}" for t in TABLES for row in t["refused"]]
    for line, found in zip(lines, ask(lines), strict=True):
        assert found == ["none"], line


def test_what_a_newer_version_adds_is_ignored() -> None:
    lines, expected = [], []
    for table in TABLES:
        cases = {case["case"]: case for case in table["cases"]}
        for row in table["longer"]:
            lines.append(f"get {c_name(table['name'])} {row['payload']}")
            expected.append([cases[row["as"]]["payload"], *words(table, cases[row["as"]])])
    for line, found, wanted in zip(lines, ask(lines), expected, strict=True):
        assert found[1:] == wanted, line


def test_ranges() -> None:
    lines, expected = [], []
    for table in TABLES:
        typical = bytes.fromhex(next(case["payload"] for case in table["cases"] if case["case"] == "typical"))
        for row in table["ranges"] if "direction" in table else []:
            octets = bytes.fromhex(row["bytes"])
            payload = typical[: row["at"]] + octets + typical[row["at"] + len(octets) :]
            lines.append(f"get {c_name(table['name'])} {payload.hex()}")
            expected.append("0" if row["problem"] else "1")
    assert len(lines) > 50
    for line, found, wanted in zip(lines, ask(lines), expected, strict=True):
        assert found[0] == wanted, line


def test_frames_of_messages() -> None:
    pairs = [pair for t in TABLES for case in t["cases"] if (pair := whole(t, case))]
    pairs += [(row["message"], row["frame"]) for row in TABLE["data"]]
    lines = [f"frame {len(frame) // 2} {message}" for message, frame in pairs]
    lines += [f"frame {len(frame) // 2 - 1} {message}" for message, frame in pairs]
    lines += [f"deframe {frame}" for _, frame in pairs]
    expected = [[frame] for _, frame in pairs] + [["none"]] * len(pairs)
    expected += [["1", "0", "0", "0", message] for message, _ in pairs]
    for line, found, wanted in zip(lines, ask(lines), expected, strict=True):
        assert found == wanted, line


def test_only_messages_are_framed() -> None:
    assert ask([f"frame 999 {hexed(bytes(n))}" for n in (0, 3, 245, 400)]) == [["none"]] * 4


@pytest.mark.parametrize("size", [2, 4])
def test_data(size: int) -> None:
    rows = [row for row in TABLE["data"] if row["sample_type"] == f"I{8 * size}"]
    lines, expected = [], []
    for row in rows:
        numbers = [str(number) for sample in row["samples"] for number in sample]
        header = f"16 0 {row['seq']} {row['stream']} {row['count']} {row['first_index']} {row['t0_us']}"
        room = size * len(numbers)
        lines += [
            f"put data_header 18 {header}",
            f"i{8 * size} {room} {len(numbers)} {' '.join(numbers)}",
            f"i{8 * size} {room - 1} {len(numbers)} {' '.join(numbers)}",
            f"get data_header {row['message']}",
        ]
        expected += [
            [row["message"][:36]],
            [row["message"][36:]],
            ["none"],
            ["-", row["message"][:36], *header.split()],
        ]
    assert rows
    for line, found, wanted in zip(lines, ask(lines), expected, strict=True):
        assert found == wanted, line


def test_streams_of_frames() -> None:
    answers = ask([f"deframe {row['bytes'] or '-'}" for row in TABLE["frames"]])
    for row, found in zip(TABLE["frames"], answers, strict=True):
        counts = dict(zip(("good", "bad_cobs", "bad_crc", "bad_length"), map(int, found[:4]), strict=True))
        if "bad" in row["counts"]:
            counts = {"good": counts["good"], "bad": sum(counts.values()) - counts["good"]}
        assert (counts, found[4:]) == (row["counts"], row["messages"]), row["why"]


def test_a_wrong_byte_is_seen() -> None:
    """The control: the same comparison with one value changed does not hold."""
    case = TABLES[-1]["cases"][0]
    name, values = c_name(TABLES[-1]["name"]), words(TABLES[-1], case)
    changed = [str(int(values[0]) ^ 1), *values[1:]]
    assert ask([f"put {name} 999 {' '.join(changed)}"]) != [[case["payload"]]]
