#!/usr/bin/env python3
"""Schema in, code and reference out: the only way in which the wire gets into a program.

Reads ``schema/*.toml``, checks it, and writes everything that is made from it. ``--check`` writes nothing and fails
where a committed file is not what the schema says, or where the schema has changed more than its version allows
(docs/versioning.md). ``--release`` freezes the present version in ``released/`` for ever.
"""

from __future__ import annotations

import argparse
import sys

from generator import compat, release
from generator.errors import SchemaError
from generator.render import RELEASED, ROOT, SCHEMA, render
from generator.schema import load_schema, read_tables


def _problems() -> list[str]:
    """What the schema may not do under its version number."""
    protocol, rows = read_tables(SCHEMA)
    return compat.problems(release.load_released(RELEASED), {"protocol": protocol, **rows})


def _release() -> None:
    protocol, rows = read_tables(SCHEMA)
    made = release.freeze(load_schema(SCHEMA), {"protocol": protocol, **rows}, RELEASED)
    print(f"released {made.relative_to(ROOT)}: commit it, and never change it again")


def main() -> int:
    """Generate, or with ``--check`` compare, or with ``--release`` freeze."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if a committed file or the version is not current")
    parser.add_argument("--release", action="store_true", help="freeze the present version, with a recording")
    options = parser.parse_args()
    try:
        outputs = render(load_schema(SCHEMA))
        problems = _problems()
    except SchemaError as error:
        print(f"schema: {error}", file=sys.stderr)
        return 2
    stale = [p for p, text in outputs.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    only_look = options.check or options.release
    for line in problems:
        print(f"schema: {line}", file=sys.stderr)
    for path in stale:
        if only_look:
            print(f"{path.relative_to(ROOT)} is not current: run python firmware_protocol/generate.py", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text := outputs[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)} ({len(text.splitlines())} lines)")
    if only_look and (stale or problems):
        return 1
    if options.release:
        try:
            _release()
        except SchemaError as error:
            print(f"schema: {error}", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
