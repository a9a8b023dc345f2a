#!/usr/bin/env python3
"""Schema in, code and reference out: the only way in which the wire gets into a program.

Reads ``schema/*.toml``, checks it, and writes everything that is made from it. ``--check`` writes nothing and fails
where a committed file is not what the schema says.
"""

from __future__ import annotations

import argparse
import sys

from generator.errors import SchemaError
from generator.render import ROOT, SCHEMA, render
from generator.schema import load_schema


def main() -> int:
    """Generate, or with ``--check`` compare."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail if a committed file is not current")
    check = parser.parse_args().check
    try:
        outputs = render(load_schema(SCHEMA))
    except SchemaError as error:
        print(f"schema: {error}", file=sys.stderr)
        return 2
    stale = [p for p, text in outputs.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is not current: run python firmware_protocol/generate.py", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text := outputs[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)} ({len(text.splitlines())} lines)")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
