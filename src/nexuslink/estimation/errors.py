"""What makes estimation impossible. Bad *samples* are never errors: they are flagged in the estimates."""

from __future__ import annotations


class CalibrationError(ValueError):
    """A calibration record that would give nonsense: one line, which value and why."""
