"""``calibrate show, export, import, compare, merge, history``: records in tools, files, sessions and the archive."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from nexuslink.calibration.archive import FORMAT as EVENT_FORMAT
from nexuslink.calibration.archive import Archive, Event, event_of, usual_folder
from nexuslink.calibration.compare import Flag, Row, compare
from nexuslink.calibration.document import from_json, in_words, read_text, to_document, to_json
from nexuslink.calibration.errors import CalibrationFileError
from nexuslink.calibration.merge import merge
from nexuslink.calibration.writing import Written, write_to_tool
from nexuslink.cli.errors import UsageError
from nexuslink.cli.output import print_json, say
from nexuslink.cli.pairing import tell_pairing
from nexuslink.device.keeping import connection, is_tool
from nexuslink.device.nexus import Nexus
from nexuslink.protocol.messages import CalibrationMethod, CalibrationRecord

SESSION: Final = (".mcap", ".mcap.part")
CODE_MAX: Final = 0xFFFFFFFF


def archive_at(named: str | None) -> Archive:
    """The folder of ``--archive``, or the usual one."""
    return Archive(Path(named) if named else usual_folder())


def code_of(args: argparse.Namespace) -> int | None:
    """The code if the tool is to be written to, ``None`` if not. Raises `UsageError` for one without the other."""
    if args.write != (args.code is not None):
        raise UsageError("nothing is written to a tool without both --write and --code; give both or neither")
    if args.code is None:
        return None
    try:
        code = int(args.code, 0)
    except ValueError:
        code = -1
    if not 0 <= code <= CODE_MAX:
        raise UsageError(f"--code {args.code[:20]}: write the number from inside the base, such as 0x01234567")
    return code


def record_of(source: str) -> CalibrationRecord:
    """The record of a tool, a file, an event of the archive, or a session. Raises what can be mended."""
    path = Path(source)
    if path.is_file() or not is_tool(source):
        return _record_in(path)

    async def ask() -> CalibrationRecord:
        async with connection(source, cache=None, watch=tell_pairing()) as nexus:  # what it has now
            return nexus.calibration

    return asyncio.run(ask())


def _record_in(path: Path) -> CalibrationRecord:
    if path.name.endswith(SESSION):
        from nexuslink.recording.reader import SessionReader

        record = CalibrationRecord.unpack(SessionReader(path).header.calibration)
        if record is None:
            raise CalibrationFileError(f"{path}: the record in it cannot be read")
        return record
    text = read_text(path)
    if f'"{EVENT_FORMAT}/' not in text:
        return from_json(text, str(path))
    try:
        record = event_of(json.loads(text), str(path)).decoded
    except (ValueError, RecursionError):
        raise CalibrationFileError(f"{path}: it is not JSON, or cut; nothing in it can be used") from None
    if record is None:
        raise CalibrationFileError(f"{path}: no record came out of that calibration")
    return record


def save(record: CalibrationRecord, name: str) -> Path:
    """Write a document; never over a file that is there. Raises `UsageError`."""
    path = Path(name)
    text = to_json(record)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is already there; name another file") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path


# -- commands ---------------------------------------------------------------------------------------------------------


def show(args: argparse.Namespace) -> int:
    """Every field."""
    record = record_of(args.source)
    if args.json:
        print_json(to_document(record))
        return 0
    say(f"{record.serial_number}: calibration {in_words(record)}")
    valid = to_document(record)["valid_until"]
    if isinstance(valid, str):
        say(f"do it again by {valid[:10]}")
    if record.method == CalibrationMethod.NOMINAL:
        say("from the data sheets: nothing was measured on this tool")
    for row in compare(record, record, every=True):
        if not math.isnan(row.difference):
            say(f"  {row.field:32} {row.after:>14.7g} {row.unit}")
    return 0


def export(args: argparse.Namespace) -> int:
    """Into a file."""
    path = save(record_of(args.source), args.file)
    if args.json:
        print_json({"file": path})
    else:
        say(f"written to {path}")
    return 0


def load(args: argparse.Namespace) -> int:
    """Out of a file into a tool."""
    code = code_of(args)
    record = _record_in(Path(args.file))

    async def work() -> tuple[list[Row], Written | None]:
        async with connection(args.url, cache=None, watch=tell_pairing()) as nexus:
            now = nexus.calibration
            if record.serial_number != nexus.info.serial_number:
                raise CalibrationFileError(
                    f"{args.file}: it was made for {record.serial_number}, not for {nexus.info.serial_number}; "
                    "every tool has its own record"
                )
            rows = compare(replace(now, calibration_id=record.calibration_id), record)
            return rows, None if code is None else await write(nexus, record, code, args.archive, "imported")

    rows, written = asyncio.run(work())
    if args.json:
        print_json({"changes": [asdict(row) for row in rows], "written": written_json(written)})
        return 0
    for line in table(rows):
        say(line)
    say_written(written)
    return 0


def differ(args: argparse.Namespace) -> int:
    """Two records."""
    rows = compare(record_of(args.before), record_of(args.after), every=args.all)
    beyond = [row for row in rows if row.flag is Flag.BEYOND]
    if args.json:
        print_json([asdict(row) for row in rows])
        return 1 if beyond else 0
    for line in table(rows):
        say(line)
    if not rows:
        say("the same in every field")
    elif beyond:
        say(f"{len(beyond)} of {len(rows)} differ by more than both records were sure of, marked with !")
    return 1 if beyond else 0


def join(args: argparse.Namespace) -> int:
    """Parts of one into another."""
    base, other = record_of(args.base), record_of(args.other)
    merged = merge(base, other, args.parts, args.other_tool)
    path = save(merged, args.out)
    rows = compare(base, merged)
    if args.json:
        print_json({"file": path, "changes": [asdict(row) for row in rows]})
        return 0
    for line in table(rows):
        say(line)
    say(f"written to {path}; nothing was written to a tool: `nexuslink calibrate import` does that")
    return 0


def history(args: argparse.Namespace) -> int:
    """What is kept."""
    archive = archive_at(args.archive)
    if args.serial is None:
        numbers = archive.serial_numbers()
        if args.json:
            print_json(numbers)
        for number in numbers if not args.json else ():
            say(number)
        if not numbers and not args.json:
            say(f"nothing is kept in {archive.folder}")
        return 0
    events, damaged = archive.events(args.serial), archive.damaged(args.serial)
    if args.json:
        print_json({"events": [_event_json(event) for event in events], "damaged": damaged})
        return 0
    for event in events:
        record = event.decoded
        number = "" if record is None or event.kind.value == "measured" else f"record {record.calibration_id}: "
        say(f"{event.when}  {event.kind.value:9} {number}{event.reason}")
        say(f"{'':32}{event.path}")
    for line in damaged:
        say(f"damaged: {line}")
    if not events and not damaged:
        say(f"nothing is kept of {args.serial} in {archive.folder}")
    return 0


def _event_json(event: Event) -> dict[str, Any]:
    record = event.decoded
    return {
        "when": event.when, "kind": event.kind.value, "reason": event.reason, "file": event.path,
        "calibration_id": None if record is None else record.calibration_id,
        "observations": dict(event.observations),
    }  # fmt: skip


# -- shared with the procedures ---------------------------------------------------------------------------------------


async def write(
    nexus: Nexus, record: CalibrationRecord, code: int, archive: str | None, reason: str,
    observations: dict[str, Any] | None = None,
) -> Written:  # fmt: skip
    """Into the connected tool."""
    return await write_to_tool(nexus, record, code, archive_at(archive), reason, observations)


def written_json(written: Written | None) -> dict[str, Any] | None:
    """For programs."""
    if written is None:
        return None
    return {
        "calibration_id": written.record.calibration_id, "as_found": written.as_found.path,
        "as_left": written.as_left.path,
    }  # fmt: skip


def say_written(written: Written | None) -> None:
    """For people."""
    if written is None:
        say("nothing was written to the tool; --write with --code does it")
        return
    say(f"the tool has record {written.record.calibration_id} now, read back and compared")
    say(f"as-found: {written.as_found.path}")
    say(f"as-left:  {written.as_left.path}")


def table(rows: list[Row]) -> Iterator[str]:
    """Rows of a comparison for people."""
    if rows:
        yield f"  {'field':32} {'before':>14} {'after':>14} {'difference':>12}  in u"
    for row in rows:
        mark = "!" if row.flag is Flag.BEYOND else " "
        if math.isnan(row.difference):
            yield f"{mark} {row.field:32} {row.before!s:>14} {row.after!s:>14}"
            continue
        sure = "" if math.isnan(row.in_u) else f"{row.in_u:+.1f}"
        numbers = f"{row.before:>14.7g} {row.after:>14.7g} {row.difference:>+12.4g}"
        yield f"{mark} {row.field:32} {numbers}  {sure:>5} {row.unit}"
