"""The negative controls of the conformance suite: each wrong tool fails for its own reason and for no other."""

from __future__ import annotations

import asyncio

import pytest
from conformance_defects import ABOUT, HEADLINE, OTHERS, ids
from nexus_conformance.suite import REQUIREMENTS, Wishes, examine
from nexus_simulator.defects.table import DEFECTS
from nexus_simulator.transport import open_sim

AT_ONCE = 13
"""Wrong tools that are tried together: while one is silent on purpose the others go on."""
HEADLINES = [list(HEADLINE)[n : n + AT_ONCE] for n in range(0, len(HEADLINE), AT_ONCE)]
REST = [list(OTHERS)[n : n + AT_ONCE] for n in range(0, len(OTHERS), AT_ONCE)]
ALWAYS = ("NX-VER", "NX-RUN")


async def _failures(defect: str, only: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    params = {"speed": "max", "defect": defect}
    report = await examine(lambda: open_sim("", params), Wishes(write=True, reset=True, only=only))
    return defect, report.failed


def failures(defects: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Defect -> what failed, of the requirements that begin as named (none: all)."""

    async def run() -> dict[str, tuple[str, ...]]:
        return dict(await asyncio.gather(*(_failures(name, only) for name, only in defects.items())))

    return asyncio.run(run())


@pytest.mark.parametrize("names", HEADLINES, ids=lambda names: f"{names[0]}-and-{len(names) - 1}-more")
def test_a_wrong_tool_fails_in_its_own_requirements_of_the_whole_suite(names: list[str]) -> None:
    assert failures(dict.fromkeys(names, ())) == {name: ids(HEADLINE[name]) for name in names}


@pytest.mark.thorough
@pytest.mark.parametrize("names", REST, ids=lambda names: f"{names[0]}-and-{len(names) - 1}-more")
def test_a_wrong_tool_fails_in_its_own_requirements_of_its_nouns(names: list[str]) -> None:
    nouns = {name: tuple({*ALWAYS, *ABOUT.get(name, ()), *(i[:6] for i in ids(OTHERS[name]))}) for name in names}
    assert failures(nouns) == {name: ids(OTHERS[name]) for name in names}


def test_every_requirement_is_failed_by_some_wrong_tool() -> None:
    table = {**HEADLINE, **OTHERS}
    assert set(table) == set(DEFECTS)
    controlled = {id_ for row in table.values() for id_ in ids(row)}
    assert [r.id for r in REQUIREMENTS if r.id not in controlled] == []


def test_every_wrong_tool_says_what_is_wrong() -> None:
    assert [name for name, defect in DEFECTS.items() if not defect.doc.endswith(".")] == []


def test_an_unknown_defect_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"defect=x: there is no such defect; there are: .*dead-seq"):
        open_sim("", {"defect": "x"})
