"""Every output of the schema: one table of paths and who writes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent
SCHEMA = HERE / "schema"

Renderer = Callable[[dict[str, Any]], str]


def _snake(name: str) -> str:
    """HelloResponse -> hello_response."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def template(name: str) -> Renderer:
    """A renderer that fills a template of the templates folder."""

    def fill(schema: dict[str, Any]) -> str:
        loader = jinja2.FileSystemLoader(HERE / "templates")
        env = jinja2.Environment(loader=loader, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
                                 undefined=jinja2.StrictUndefined)  # fmt: skip
        env.filters["snake"] = _snake
        return env.get_template(name).render(**schema)

    return fill


OUTPUTS: dict[Path, Renderer] = {
    ROOT / "src/nexuslink/protocol/messages.py": template("messages.py.j2"),
    ROOT / "src/nexuslink/protocol/dtypes.py": template("dtypes.py.j2"),
    HERE / "docs/reference.md": template("reference.md.j2"),
}


def render(schema: dict[str, Any]) -> dict[Path, str]:
    """Output path -> text."""
    return {path: renderer(schema) for path, renderer in OUTPUTS.items()}
