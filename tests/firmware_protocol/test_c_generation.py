"""What the generator refuses to say in C, and that what it says is C as the schema means it."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from firmware_protocol.c_codec import CODEC, SCHEMA, schema
from generator.c_code import c_view
from generator.errors import SchemaError
from generator.schema import build_schema, read_tables


def _changed(kind: str, name: str, **changes: Any) -> dict[str, Any]:
    """The schema with one row changed."""
    protocol, tables = deepcopy(read_tables(SCHEMA))
    row = next(row for row in tables[kind] if row["name"] == name)
    row.update(changes)
    return build_schema(protocol, tables)


def test_the_schema_itself_can_be_said() -> None:
    c_view(_changed("message", "TareRequest"))


@pytest.mark.parametrize(("kind", "name", "changes", "words"), [
    ("message", "TareRequest", {"fields": [{"name": "register", "type": "u8", "doc": "x"}]},
     "TareRequest.register: 'register' is a word of C or C++"),
    ("struct", "ErrorReport", {"fields": [{"name": "template", "type": "u8", "doc": "x"}]},
     "ErrorReport.template: 'template' is a word"),
    ("struct", "ErrorReport", {"fields": [{"name": "code", "type": "u8", "range": [0, 9], "doc": "x"}]},
     "ErrorsResponse.reports: C has no test for a counted array with ranges"),
    ("enum", "SelfTest", {"values": [{"name": "LAST", "value": 1 << 31, "doc": "x"}]},
     "SelfTest.LAST: 2147483648 is more than an enumeration of C holds"),
])  # fmt: skip
def test_what_c_cannot_say_is_refused_in_one_line(kind: str, name: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SchemaError) as refused:
        view = c_view(_changed(kind, name, **changes))
        for message in view["own"]:
            view["tests"](message)
    assert str(refused.value).startswith(words)
    assert "\n" not in str(refused.value)


def test_limits_are_those_of_the_type() -> None:
    made = schema()
    record = next(m for m in made["messages"] if m["name"] == "CalibrationRecord")
    tests = "\n".join(c_view(made)["tests"](record))
    assert "within_f32(&m->gravity_m_s2, 1, 9.69999981f, 9.89999962f)" in tests
    assert "m->record_version >= 1u\nm->record_version <= 1u" in tests
    assert "within_f32(&m->temperature_c, 1, -40.0f, 85.0f)" in tests


def test_no_line_is_too_long() -> None:
    for path in [*CODEC.glob("*.[ch]"), *CODEC.glob("fuzz/*.c")]:
        assert not [n for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if len(line) > 120], (
            path
        )
