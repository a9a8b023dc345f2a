"""The Markdown reference leaves nothing of the schema out."""

from __future__ import annotations

from typing import Any

import golden
from generator.schema import load_schema

TEXT = (golden.PROTOCOL / "docs/reference.md").read_text(encoding="utf-8")


def missing(schema: dict[str, Any], text: str) -> list[str]:
    """Everything that a reader would not find."""
    wanted = [f"| `{c['name']}` | {c['value']} |" for c in schema["constants"]]
    for enum in schema["enums"]:
        wanted += [f"### {enum['name']} ({enum['base']}"]
        wanted += [f"| 0x{v['value']:02X} | `{v['name']}` | {v['doc']} |" for v in enum["values"]]
        wanted += [f"| reserved | {span['doc']} |" for span in enum.get("reserved", [])]
        wanted += [f"| 0x{span['first']:02X}" for span in enum.get("reserved", [])]
    for table in schema["headers"] + schema["structs"] + schema["messages"]:
        wanted += [f"### {table['name']}", table["doc"]]
        wanted += [f"| `{field.name}` | {field.type}" for field in table["fields"]]
        wanted += [field.doc for field in table["fields"]]
    for service in schema["services"]:
        wanted += [f"### {service['name']}, {service['uuid']}"]
        for row in service["characteristics"]:
            wanted.append(f"| `{row['name']}` | {row['uuid']} | {', '.join(row['properties'])} |")
    wanted += ["| ms | 10 to 2000 |", "| m/s2 | 9.7 to 9.9 |", "| -1.001 to 1.001 |", "x `count`, at most 224"]
    return [line for line in wanted if line not in text]


def test_nothing_is_left_out() -> None:
    schema = load_schema(golden.PROTOCOL / "schema")
    assert missing(schema, TEXT) == []
    assert missing(schema, TEXT.replace("| 10 to 2000 |", "|  |").replace("`EVENTS`", "")) != []


def test_a_table_row_is_one_line() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in rows)
    assert {line.count(" | ") for line in rows if line.startswith("| `") and "0x" in line} <= {3, 4, 5}
