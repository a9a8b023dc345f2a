"""What went wrong in the tool, one report for each kind of error, and which log lines somebody wants."""

from __future__ import annotations

from nexuslink.protocol.messages import ErrorCode, ErrorReport, ErrorsResponse, LogLevel

COUNT_MAX = 0xFFFF
REPORTS_A_MESSAGE = 3


class Health:
    """Forgotten at a restart."""

    def __init__(self) -> None:
        self._reports: dict[int, ErrorReport] = {}
        self.log_level = int(LogLevel.OFF)
        self.bad_frames = 0
        """Frames from the host that could not be read; counted by the link."""

    @property
    def errors(self) -> int:
        """Reports kept."""
        return len(self._reports)

    def report(self, t_us: int, code: ErrorCode, detail: int) -> ErrorReport:
        """Something went wrong (again)."""
        before = self._reports.get(code)
        count = min(COUNT_MAX, before.count + 1) if before else 1
        self._reports[code] = ErrorReport(t_us, code, count, detail)
        return self._reports[code]

    def page(self, first: int) -> ErrorsResponse:
        """Reports from ``first`` on, oldest kind first."""
        reports = tuple(self._reports.values())
        part = reports[first : first + REPORTS_A_MESSAGE]
        return ErrorsResponse(len(reports), first, len(part), part)

    def clear(self) -> None:
        """Forget all reports."""
        self._reports.clear()
