"""Every output of the schema: one table of paths and who writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

from generator import vectors
from generator.c_code import c_view
from generator.names import snake

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent
SCHEMA = HERE / "schema"
RELEASED = HERE / "released"

Renderer = Callable[[dict[str, Any]], str]


def template(name: str, view: Callable[[dict[str, Any]], dict[str, Any]] = dict) -> Renderer:
    """A renderer that fills a template of the templates folder with what ``view`` makes of the schema."""

    def fill(schema: dict[str, Any]) -> str:
        loader = jinja2.FileSystemLoader(HERE / "templates")
        env = jinja2.Environment(loader=loader, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
                                 undefined=jinja2.StrictUndefined)  # fmt: skip
        env.filters["snake"] = snake
        return env.get_template(name).render(**view(schema))

    return fill


OUTPUTS: dict[Path, Renderer] = {
    ROOT / "src/nexuslink/protocol/messages.py": template("messages.py.j2"),
    ROOT / "src/nexuslink/protocol/dtypes.py": template("dtypes.py.j2"),
    HERE / "c/nexus_messages.h": template("nexus_messages.h.j2", c_view),
    HERE / "c/nexus_messages.c": template("nexus_messages.c.j2", c_view),
    HERE / "docs/reference.md": template("reference.md.j2"),
    HERE / "vectors/vectors.json": vectors.render,
    HERE / "dissector/nexus.lua": template("nexus.lua.j2"),
}


def render(schema: dict[str, Any]) -> dict[Path, str]:
    """Output path -> text."""
    return {path: renderer(schema) for path, renderer in OUTPUTS.items()}
