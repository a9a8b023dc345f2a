"""What came of a run: verdicts with evidence, as lines for people, JSON for programs, JUnit for CI. Knows no tool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final
from xml.etree import ElementTree


class Verdict(StrEnum):
    """How one check ended."""

    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"


_WORDS: Final = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.NOT_APPLICABLE: "n/a"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    id: str
    sentence: str
    verdict: Verdict
    evidence: str

    def lines(self) -> Iterator[str]:
        """For people: a check a line, evidence behind it, the sentence where it failed."""
        yield f"{_WORDS[self.verdict]:4}  {self.id:10}  {self.evidence}"
        if self.verdict is Verdict.FAIL:
            yield f"{'':18}-> {self.sentence}"


@dataclass(frozen=True, slots=True)
class Report:
    """One run on one tool."""

    url: str
    tool: str
    """Serial number, firmware and protocol, in words."""
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Ids of what failed, in order."""
        return tuple(f.id for f in self.findings if f.verdict is Verdict.FAIL)

    @property
    def passed(self) -> bool:
        """Nothing failed."""
        return not self.failed

    def count(self, verdict: Verdict) -> int:
        """How many checks ended so."""
        return sum(f.verdict is verdict for f in self.findings)

    def summary(self) -> str:
        """One line."""
        figures = (
            f"{self.count(Verdict.PASS)} passed, {self.count(Verdict.FAIL)} failed, "
            f"{self.count(Verdict.NOT_APPLICABLE)} not applicable"
        )
        return figures if self.passed else f"{figures}: {', '.join(self.failed)}"

    def document(self) -> dict[str, Any]:
        """For programs: plain values."""
        return {
            "url": self.url,
            "tool": self.tool,
            "passed": self.passed,
            "findings": [asdict(f) for f in self.findings],
        }

    def junit(self) -> str:
        """For CI: JUnit XML, one test case a requirement."""
        suite = ElementTree.Element(
            "testsuite", name="nexus conformance", tests=str(len(self.findings)), errors="0",
            failures=str(self.count(Verdict.FAIL)), skipped=str(self.count(Verdict.NOT_APPLICABLE)),
        )  # fmt: skip
        for finding in self.findings:
            case = ElementTree.SubElement(suite, "testcase", classname=self.tool, name=finding.id)
            if finding.verdict is Verdict.FAIL:
                ElementTree.SubElement(case, "failure", message=finding.evidence).text = finding.sentence
            elif finding.verdict is Verdict.NOT_APPLICABLE:
                ElementTree.SubElement(case, "skipped", message=finding.evidence)
            else:
                ElementTree.SubElement(case, "system-out").text = finding.evidence
        ElementTree.indent(suite)
        return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
