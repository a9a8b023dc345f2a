"""The conformance suite over the virtual air: what is said of a tool on a cable holds on the radio."""

from __future__ import annotations

import pytest
from air_bench import run
from nexus_conformance.report import Report, Verdict
from nexus_conformance.suite import Wishes, examine
from nexus_simulator.ble.pairing import Method, Security
from nexus_simulator.ble.peripheral import NexusPeripheral
from nexus_simulator.ble.radio import air
from nexus_simulator.options import Options

from nexuslink.transport.url import make_transport


def report(method: Method, *only: str) -> Report:
    """Of a simulated tool in this process, in real time: the suite compares its clock with ours."""

    async def scenario() -> Report:
        where = air(f"conformance {method.name}")
        tool = NexusPeripheral(Options(), where, Security(method=method, always_open=True))
        await tool.start()
        try:
            url = f"ble:?radio=bumble:air:{where.name.replace(' ', '%20')}"
            return await examine(lambda: make_transport(url), Wishes(write=True, reset=True, only=only))
        finally:
            await tool.close()

    return run(scenario(), real=True, limit_s=170.0)


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_a_tool_on_the_air_conforms() -> None:
    findings = report(Method.NUMERIC).findings
    assert [(f.id, f.evidence) for f in findings if f.verdict is Verdict.FAIL] == []
    unframed = "this carrier has no frames"
    others = [f.id for f in findings if f.verdict is Verdict.NOT_APPLICABLE and f.evidence != unframed]
    assert others == ["NX-CTL-014"]  # about tools that lack a part


def test_over_a_link_that_nobody_has_confirmed_only_what_the_code_opens_fails() -> None:
    findings = report(Method.NOTHING, "NX-CAL-007", "NX-CAL-004", "NX-CAL-005", "NX-CAL-006").findings
    assert {f.id: f.verdict for f in findings} == {
        "NX-CAL-004": Verdict.PASS,
        "NX-CAL-005": Verdict.PASS,
        "NX-CAL-006": Verdict.PASS,
        "NX-CAL-007": Verdict.FAIL,
    }
