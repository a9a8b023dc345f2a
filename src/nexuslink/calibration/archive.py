"""Every record that a tool has had, and what was measured for it: one folder a serial number, one file an event.

A write leaves two files, as-found and as-left; a calibration that was not written leaves what was measured. Nothing
is ever overwritten or deleted here. The clock is only read to name files; nothing is decided by it.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import os
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from nexuslink.calibration.document import check_version, from_document, read_text, to_document
from nexuslink.calibration.errors import ArchiveError, CalibrationFileError
from nexuslink.calibration.soundness import unsound
from nexuslink.protocol.messages import CalibrationRecord
from nexuslink.protocol.record import damage
from nexuslink.recording.files import sync_folder

SWITCH: Final = "NEXUSLINK_CALIBRATIONS"
"""Environment: another folder."""
FORMAT: Final = "nexuslink.calibration-event"
MAJOR: Final = 1
TRIES: Final = 1000
"""Names tried where other programs archive at the same time."""
_NAME: Final = re.compile(r"(\d{6})_[\w.-]+\.json")


class Kind(StrEnum):
    """What an event tells."""

    AS_FOUND = "as-found"
    """What the tool had before a write."""
    AS_LEFT = "as-left"
    """What the tool has after it, as it was read back."""
    MEASURED = "measured"
    """What a calibration has measured, and the record that came out of it, if one did; not written by this."""


@dataclass(frozen=True, slots=True)
class Event:
    """One file. ``record``: sealed bytes, whole; ``None`` where nothing came out."""

    kind: Kind
    serial_number: str
    reason: str
    """One sentence: why, or how it ended."""
    record: bytes | None
    observations: Mapping[str, Any]
    """What was measured with what: weights, readings, residuals, verdict. JSON's own types."""
    when: str = ""
    """ISO 8601, UTC; filled in when it is kept."""
    path: Path | None = None

    @property
    def decoded(self) -> CalibrationRecord | None:
        """The record's fields."""
        return None if self.record is None else CalibrationRecord.unpack(self.record)


def usual_folder() -> Path:
    """NEXUSLINK_CALIBRATIONS, or the user's data folder."""
    import platformdirs

    named = os.environ.get(SWITCH)
    return Path(named) if named else platformdirs.user_data_path("nexuslink", appauthor=False) / "calibrations"


class Archive:
    """The folder and what is in it."""

    def __init__(self, folder: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.folder = folder
        self._now = now

    def place(self, serial_number: str) -> Path:
        """Where that tool's files are. A serial number comes from the wire: what no file name may hold is escaped."""
        safe = re.sub(r"[^A-Za-z0-9-]", lambda match: f"_{ord(match[0]):02x}", serial_number)
        return self.folder / (safe or "_")

    def prepare(self, serial_number: str) -> None:
        """See now whether something can be kept later. Raises `ArchiveError`."""
        place = self.place(serial_number)
        try:
            place.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            raise _cannot_keep(place, error) from None

    def keep(self, event: Event) -> Event:
        """Write one file, whole or not at all; the event with its time and its path. Raises `ArchiveError`."""
        when = self._now().astimezone(UTC)
        text = _pack(event, when.isoformat(timespec="seconds").replace("+00:00", "Z"))
        place = self.place(event.serial_number)
        try:
            place.mkdir(parents=True, exist_ok=True)
            path = _claim(place, f"{event.kind.value}_{when:%Y-%m-%d_%H%M%S}.json")
            _fill(path, text)
        except OSError as error:
            raise _cannot_keep(place, error) from None
        return load_event(path)

    def events(self, serial_number: str) -> list[Event]:
        """All that is kept of a tool, oldest first. Files that cannot be read are left out: see `damaged`."""
        return self._read(serial_number)[0]

    def damaged(self, serial_number: str) -> list[str]:
        """One line for each file that cannot be read."""
        return self._read(serial_number)[1]

    def serial_numbers(self) -> list[str]:
        """Tools of which something is kept."""
        folders = self.folder.iterdir() if self.folder.is_dir() else ()
        unescaped = (
            re.sub(r"_([0-9a-f]{2})", lambda match: chr(int(match[1], 16)), folder.name)
            for folder in folders
            if folder.is_dir()
        )
        return sorted(unescaped)

    def highest_id(self, serial_number: str) -> int:
        """The highest calibration_id that is kept of this tool; 0 for none."""
        records = (event.decoded for event in self.events(serial_number))
        return max((record.calibration_id for record in records if record is not None), default=0)

    def _read(self, serial_number: str) -> tuple[list[Event], list[str]]:
        events, damaged = [], []
        place = self.place(serial_number)
        try:
            paths = sorted(path for path in place.iterdir() if _NAME.fullmatch(path.name)) if place.is_dir() else []
        except OSError as error:
            raise ArchiveError(f"{place}: cannot be read ({error.strerror or error})") from None
        for path in paths:
            try:
                events.append(load_event(path))
            except CalibrationFileError as error:
                damaged.append(str(error))
        return events, damaged


def _cannot_keep(place: Path, error: OSError) -> ArchiveError:
    return ArchiveError(
        f"{place}: the calibration cannot be kept there ({error.strerror or error}); "
        f"make room, or set {SWITCH} to another folder"
    )


def load_event(path: Path) -> Event:
    """What one file tells. Raises `CalibrationFileError`."""
    try:
        return event_of(json.loads(read_text(path)), str(path), path)
    except (ValueError, RecursionError):
        raise CalibrationFileError(f"{path}: it is not JSON, or cut; nothing in it can be used") from None


def event_of(values: Any, name: str, path: Path | None = None) -> Event:
    """What the JSON of one file tells. Raises `CalibrationFileError`."""
    if not isinstance(values, dict):
        raise CalibrationFileError(f"{name}: it is not a table")
    check_version(values.get("schema"), FORMAT, MAJOR, name)
    try:
        kind, texts = Kind(values["kind"]), [values[key] for key in ("serial_number", "reason", "when")]
        packed, observations = values["record_bytes"], values["observations"]
        record = None if packed is None else base64.b64decode(packed, validate=True)
    except (KeyError, ValueError, TypeError, binascii.Error) as error:
        raise CalibrationFileError(f"{name}: {' '.join(str(error).split())} is missing or cannot be read") from None
    if not all(isinstance(text, str) for text in texts) or not isinstance(observations, dict):
        raise CalibrationFileError(f"{name}: a text or the table of observations is something else")
    if record is not None:
        problem = damage(record)
        if problem is None and values.get("record") is not None:
            same = _fields(CalibrationRecord.unpack(record)) == _fields(from_document(values["record"], name))
            problem = None if same else "one of its two forms was edited"
        if problem is not None:
            raise CalibrationFileError(f"{name}: its record is not what was kept, {problem}")
    return Event(kind, texts[0], texts[1], record, observations, texts[2], path)


def _pack(event: Event, when: str) -> str:
    record = event.decoded
    values = {
        "schema": f"{FORMAT}/{MAJOR}", "kind": event.kind.value, "serial_number": event.serial_number, "when": when,
        "reason": event.reason,
        "record": None if record is None or unsound(record) is not None else to_document(record),
        "record_bytes": None if event.record is None else base64.b64encode(event.record).decode(),
        "observations": plain(event.observations),
    }  # fmt: skip
    return json.dumps(values, indent=1, allow_nan=False) + "\n"


def _fields(record: CalibrationRecord | None) -> CalibrationRecord | None:
    """Without what sealing fills in."""
    return None if record is None else replace(record, size=0, crc32=0)


def plain(value: Any) -> Any:
    """What JSON knows: arrays as lists, what is no number as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _claim(place: Path, tail: str) -> Path:
    """A new, empty file with the next number; two programs never get the same one."""
    numbers = [int(match[1]) for path in place.iterdir() if (match := _NAME.fullmatch(path.name))]
    first = max(numbers, default=0) + 1
    for number in range(first, first + TRIES):
        path = place / f"{number:06d}_{tail}"
        try:
            path.open("x").close()
        except FileExistsError:
            continue
        return path
    raise OSError(f"no free name after {TRIES} tries")


def _fill(path: Path, text: str) -> None:
    """Put the text into a claimed file in one move, safe against a power cut."""
    aside = path.with_suffix(".aside")
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
