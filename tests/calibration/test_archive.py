"""What is kept of every tool: whole, readable, never overwritten, never mistaken."""

from __future__ import annotations

import json
import math
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from record_samples import SERIAL, record, sealed

from nexuslink.calibration.archive import SWITCH, Archive, Event, Kind, load_event, usual_folder
from nexuslink.calibration.errors import ArchiveError, CalibrationFileError
from nexuslink.protocol.record import seal_record

WHEN = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC)


def archive(folder: Path) -> Archive:
    """Always at the same moment."""
    return Archive(folder, now=lambda: WHEN)


def event(kind: Kind = Kind.AS_FOUND, number: int = 5) -> Event:
    """One with everything in it."""
    observed = {"masses_kg": (0.5, 1.5), "residuals_n": np.array([0.1, math.nan]), "verdict": "within 0.4 N"}
    return Event(kind, SERIAL, "new weights", sealed(record(number)), observed)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    kept = archive(tmp_path).keep(event())
    assert kept.path == tmp_path / SERIAL / "000001_as-found_2026-03-01_120005.json"
    (found,) = archive(tmp_path).events(SERIAL)
    assert found == kept
    assert found.record == event().record and found.when == "2026-03-01T12:00:05Z"
    assert found.observations == {"masses_kg": [0.5, 1.5], "residuals_n": [0.1, None], "verdict": "within 0.4 N"}
    assert found.decoded is not None and found.decoded.calibration_id == 5
    text = kept.path.read_text()
    assert '"gain_n_per_count"' in text and '"N/count"' in text and '"reason": "new weights"' in text


def test_nothing_is_overwritten_and_order_is_kept(tmp_path: Path) -> None:
    first = archive(tmp_path).keep(event(number=1))
    text = first.path.read_text() if first.path else ""
    for number in range(2, 13):
        archive(tmp_path).keep(event(number=number))
    kept = archive(tmp_path).events(SERIAL)
    assert [e.decoded.calibration_id for e in kept if e.decoded] == list(range(1, 13))
    assert first.path is not None and first.path.read_text() == text
    assert archive(tmp_path).highest_id(SERIAL) == 12
    assert archive(tmp_path).highest_id("NX-7") == 0
    assert archive(tmp_path).serial_numbers() == [SERIAL]


def test_many_at_once_lose_nothing(tmp_path: Path) -> None:
    workers = [
        threading.Thread(target=lambda n=n: archive(tmp_path).keep(event(number=n))) for n in range(1, 17)
    ]  # fmt: skip
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    kept = archive(tmp_path).events(SERIAL)
    assert sorted(e.decoded.calibration_id for e in kept if e.decoded) == list(range(1, 17))
    assert not archive(tmp_path).damaged(SERIAL)
    assert not list(tmp_path.rglob("*.aside"))


def test_a_record_of_a_newer_minor_version_is_kept_whole(tmp_path: Path) -> None:
    longer = bytearray(sealed(record()) + b"more of it")
    longer[2:4] = len(longer).to_bytes(2, "little")
    from zlib import crc32

    longer[4:8] = crc32(bytes(longer[8:])).to_bytes(4, "little")
    kept = archive(tmp_path).keep(replace(event(), record=bytes(longer)))
    assert kept.record == bytes(longer)


def test_serial_numbers_from_a_wire_stay_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    names = ["../../x", "/etc/x", "a/b\\c", "", ".", "con", "NX_1", "%2e"]
    for name in names:
        made = seal_record(replace(record(), serial_number=name))
        archive(folder).keep(replace(event(), serial_number=name, record=made))
        assert len(archive(folder).events(name)) == 1
    assert {path.parent.parent for path in folder.rglob("*.json")} == {folder}
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert set(archive(folder).serial_numbers()) >= set(names) - {""}


def test_damaged_files_are_named_and_the_rest_is_read(tmp_path: Path) -> None:
    one, two, three, four = (archive(tmp_path).keep(event(number=n)).path for n in (1, 2, 3, 4))
    assert one and two and three and four
    one.write_text(one.read_text()[:300])
    two.write_text("")
    values = json.loads(three.read_text())
    values["record"]["force"]["psoas"]["gain_n_per_count"]["value"] = 9e-5
    three.write_text(json.dumps(values))
    assert [e.path for e in archive(tmp_path).events(SERIAL)] == [four]
    lines = archive(tmp_path).damaged(SERIAL)
    assert [line.split(": ")[0] for line in lines] == [str(one), str(two), str(three)]
    assert "one of its two forms was edited" in lines[2]
    assert all("\n" not in line for line in lines)
    archive(tmp_path).keep(event(number=7))
    assert len(archive(tmp_path).events(SERIAL)) == 2


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("schema", "nexuslink.calibration-event/2", "this program reads 1"), ("schema", 7, "expected"),
        ("kind", "as-lost", "as-lost"), ("reason", 7, "something else"), ("observations", [], "something else"),
        ("record_bytes", "AAAA", "it has 3 bytes"), ("record_bytes", "!", "cannot be read"),
        ("record_bytes", 7, "cannot be read"),
    ],
)  # fmt: skip
def test_hostile_files(key: str, value: object, words: str, tmp_path: Path) -> None:
    path = archive(tmp_path).keep(event()).path
    assert path is not None
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(CalibrationFileError) as caught:
        load_event(path)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveError, match=f"cannot be kept there .*set {SWITCH} to another folder"):
        archive(tmp_path / "file").keep(event())


def test_where_it_usually_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(SWITCH, str(tmp_path))
    assert usual_folder() == tmp_path
    monkeypatch.delenv(SWITCH)
    assert usual_folder().name == "calibrations"
