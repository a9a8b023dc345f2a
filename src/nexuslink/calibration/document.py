"""The calibration record as a JSON text that a person can read and edit: every field by its name, with its unit.

    {"schema": "nexuslink.calibration/1", "serial_number": "...", "method": "weights", "made": "2026-03-01T12:00:00Z",
     "force": {"psoas": {"gain_n_per_count": {"value": 3.3e-05, "unit": "N/count"}, ...}, ...}, ...}

Nothing is lost either way: the sealed bytes of a record that became a document and a record again are the same.
A text from elsewhere is hostile: whatever is wrong with it is one line that says where.
"""

from __future__ import annotations

import json
import math
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path as File
from typing import Any, Final

import numpy as np

from nexuslink.calibration.errors import CalibrationFileError
from nexuslink.calibration.fields import LEAVES, Leaf, Path, record_of, value_of
from nexuslink.calibration.soundness import unsound
from nexuslink.protocol import messages
from nexuslink.protocol.messages import CalibrationRecord

FORMAT: Final = "nexuslink.calibration"
MAJOR: Final = 1
"""Another major version is refused by name. A minor one, ``nexuslink.calibration/1.N``, only adds keys."""
TEXT_MAX: Final = 1 << 18
"""Characters; a document has some 8000."""
DATES: Final = {"made_unix_s": "made", "valid_until_unix_s": "valid_until"}
"""Field -> key of the document, which holds ISO 8601, or null for 0, "not said"."""
_ROW: Final = 3
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CODES: Final = {"u8": "B", "u16": "H", "u32": "I", "i32": "i", "i64": "q", "f32": "f", "f64": "d"}


def to_json(record: CalibrationRecord) -> str:
    """The record as text. Raises `CalibrationFileError` for one that no tool may have."""
    if (problem := unsound(record)) is not None:
        raise CalibrationFileError(f"calibration {record.calibration_id} of {record.serial_number}: {problem}")
    return _lines(to_document(record)) + "\n"


def to_document(record: CalibrationRecord) -> dict[str, Any]:
    """The record as what JSON knows."""
    document: dict[str, Any] = {"schema": f"{FORMAT}/{MAJOR}"}
    for leaf in LEAVES:
        place = document
        for name in leaf.path[:-1]:
            place = place.setdefault(name, {})
        place[DATES.get(leaf.name, leaf.name)] = _out(leaf, value_of(record, leaf.path))
    return document


def in_words(record: CalibrationRecord) -> str:
    """Which one it is, in one line: number, method, against what, when."""
    document = to_document(record)
    reference = f" ({record.reference})" if record.reference else ""
    made = f", made {document['made'][:10]}" if isinstance(document["made"], str) else ""
    return f"{record.calibration_id}, {document['method']}{reference}{made}"


def from_json(text: str, name: str = "the calibration", serial_number: str | None = None) -> CalibrationRecord:
    """The record that a text holds, not sealed. Raises `CalibrationFileError`.

    ``name``: of the file, for the words of an error. ``serial_number``: it must be that tool's.
    """
    if len(text) > TEXT_MAX:
        raise CalibrationFileError(f"{name}: it is longer than {TEXT_MAX} characters; that is no calibration record")
    try:
        document = json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
    except _FoulError as error:
        raise CalibrationFileError(f"{name}: {error}") from None
    except RecursionError:
        raise CalibrationFileError(f"{name}: it is nested too deeply; that is no calibration record") from None
    except ValueError as error:
        raise CalibrationFileError(f"{name}: it is not JSON ({' '.join(str(error).split())})") from None
    return from_document(document, name, serial_number)


def from_document(document: Any, name: str, serial_number: str | None = None) -> CalibrationRecord:
    """`from_json` of what the text holds."""
    if not isinstance(document, dict):
        raise CalibrationFileError(f"{name}: it is not a table; export a record to see what one looks like")
    _check_version(document.get("schema"), name)
    values: dict[Path, Any] = {}
    for leaf in LEAVES:
        place: Any = document
        keys = (*leaf.path[:-1], DATES.get(leaf.name, leaf.name))
        for depth, key in enumerate(keys, 1):
            if not isinstance(place, dict) or key not in place:
                raise CalibrationFileError(f"{name}: {'.'.join(keys[:depth])} is missing")
            place = place[key]
        try:
            values[leaf.path] = _in(leaf, place)
        except _FoulError as error:
            raise CalibrationFileError(f"{name}: {'.'.join(keys)} {error}") from None
    record = record_of(values)
    if (problem := unsound(record)) is not None:
        raise CalibrationFileError(f"{name}: {problem}")
    if serial_number is not None and record.serial_number != serial_number:
        raise CalibrationFileError(
            f"{name}: it was made for {record.serial_number}, not for {serial_number}; every tool has its own record"
        )
    return record


def read_document(path: File, serial_number: str | None = None) -> CalibrationRecord:
    """The record in a file. Raises `CalibrationFileError`."""
    return from_json(read_text(path), str(path), serial_number)


def read_text(path: File) -> str:
    """A file's text, no longer than any document is. Raises `CalibrationFileError`."""
    try:
        if not path.is_file():  # a pipe would be waited for
            raise CalibrationFileError(f"{path}: there is no such file")
        with path.open("rb") as file:
            return file.read(TEXT_MAX + 1).decode("utf-8")
    except OSError as error:
        raise CalibrationFileError(f"{path}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise CalibrationFileError(f"{path}: it is not a text; export a record to see what one looks like") from None


def check_version(schema: Any, wanted: str, major: int, name: str) -> None:
    """Raise `CalibrationFileError` where ``schema`` is not ``wanted/major`` or a later minor version of it."""
    kind, _, version = schema.partition("/") if isinstance(schema, str) else ("", "", "")
    if kind != wanted:
        raise CalibrationFileError(f'{name}: its "schema" is {_brief(schema)}, expected "{wanted}/{major}"')
    if version.partition(".")[0] != str(major):
        raise CalibrationFileError(
            f"{name}: it has version {_brief(version)} of {wanted}, this program reads {major}; update nexuslink"
        )


def _check_version(schema: Any, name: str) -> None:
    check_version(schema, FORMAT, MAJOR, name)


class _FoulError(ValueError):
    """What is wrong with one value."""


def _no_number(word: str) -> float:
    raise _FoulError(f"{word} stands where a number must be")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [key for key, _ in pairs]
        raise _FoulError(f"{_brief(next(key for key in names if names.count(key) > 1))} stands there twice")
    return made


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


# -- one value out ----------------------------------------------------------------------------------------------------


def _out(leaf: Leaf, value: Any) -> Any:
    if leaf.base == "char":
        return value
    if leaf.name in DATES:
        return _date_out(value)
    if hasattr(messages, leaf.base):
        known = {int(member): member.name.lower() for member in getattr(messages, leaf.base)}
        return known.get(value, value)
    if leaf.name == "calibration_id":
        return value
    shortest = [_shortest(leaf, v) for v in (value if leaf.array else (value,))]
    shown: Any = shortest if leaf.array else shortest[0]
    if len(shortest) == _ROW * _ROW:
        shown = [shortest[at : at + _ROW] for at in range(0, len(shortest), _ROW)]
    return {"value": shown, "unit": leaf.unit}


def _shortest(leaf: Leaf, value: float) -> float:
    """The fewest digits that mean the same number in the field's type."""
    return float(str(np.float32(value))) if leaf.base == "f32" else value


def _date_out(seconds: int) -> Any:
    if seconds == 0:
        return None
    try:
        return (_EPOCH + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return seconds  # no calendar has it


def _lines(value: Any, indent: int = 0) -> str:
    """JSON with one field a line."""
    if not isinstance(value, dict) or set(value) == {"value", "unit"}:
        return json.dumps(value)
    pad = "  " * (indent + 1)
    rows = [f"{pad}{json.dumps(key)}: {_lines(item, indent + 1)}" for key, item in value.items()]
    return "{\n" + ",\n".join(rows) + "\n" + "  " * indent + "}"


# -- one value in -----------------------------------------------------------------------------------------------------


def _in(leaf: Leaf, value: Any) -> Any:
    if leaf.base == "char":
        return _text_in(leaf, value)
    if leaf.name in DATES:
        return _date_in(leaf, value)
    if hasattr(messages, leaf.base):
        return _word_in(leaf, value)
    if leaf.name == "calibration_id":
        return _number_in(leaf, value)
    if not isinstance(value, dict) or "value" not in value or "unit" not in value:
        raise _FoulError(f'is {_brief(value)}, must be {{"value": ..., "unit": "{leaf.unit}"}}')
    if value["unit"] != leaf.unit:
        raise _FoulError(f'has the unit {_brief(value["unit"])}, must be in "{leaf.unit}"')
    found = value["value"]
    if not leaf.array:
        return _number_in(leaf, found)
    if leaf.length == _ROW * _ROW and isinstance(found, list) and all(isinstance(row, list) for row in found):
        if any(len(row) != _ROW for row in found):
            raise _FoulError(f"must have {_ROW} rows of {_ROW} numbers")
        found = [number for row in found for number in row]
    if not isinstance(found, list) or len(found) != leaf.length:
        raise _FoulError(f"must have {leaf.length} numbers")
    return tuple(_number_in(leaf, number) for number in found)


def _number_in(leaf: Leaf, value: Any) -> Any:
    if type(value) is not int and not (leaf.real and type(value) is float):
        raise _FoulError(f"is {_brief(value)}, must be {'a number' if leaf.real else 'a whole number'}")
    code = "<" + _CODES[leaf.base]
    try:
        made = struct.unpack(code, struct.pack(code, value))[0]
    except (struct.error, OverflowError):
        raise _FoulError(f"is {_brief(value)}, which is too large for it") from None
    if leaf.real and not math.isfinite(made):
        raise _FoulError(f"is {_brief(value)}, which is too large for it")
    return made


def _text_in(leaf: Leaf, value: Any) -> str:
    if not isinstance(value, str) or not all(" " <= letter <= "~" for letter in value):
        raise _FoulError(f"is {_brief(value)}, must be a text of ASCII letters")
    if len(value) > leaf.length:
        raise _FoulError(f"has {len(value)} letters, {leaf.length} is the most")
    return value


def _word_in(leaf: Leaf, value: Any) -> int:
    words = {member.name.lower(): int(member) for member in getattr(messages, leaf.base)}
    if isinstance(value, str) and value in words:
        return words[value]
    if type(value) is int and 0 <= value <= 0xFF:  # of a newer minor version
        return value
    raise _FoulError(f"is {_brief(value)}, must be one of {', '.join(words)}")


def _date_in(leaf: Leaf, value: Any) -> int:
    if value is None:
        return 0
    if type(value) is int:
        return int(_number_in(leaf, value))
    try:
        when = datetime.fromisoformat(value)
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        return (when - _EPOCH) // timedelta(seconds=1)
    except (ValueError, TypeError, OverflowError):
        raise _FoulError(f"is {_brief(value)}, must be a date like 2026-03-01T12:00:00Z or null") from None
