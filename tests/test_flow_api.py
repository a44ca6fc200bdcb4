"""What a flow calls, outside of any execution."""

from __future__ import annotations

import pytest

from ductaflow import display_config_summary


def test_a_config_shown_in_a_terminal_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    """display_config_summary prints nested keys, dotted and aligned."""
    display_config_summary({"network": "base", "params": {"factor": 0.5}}, "Mine")
    assert capsys.readouterr().out == "Mine\n  network        base\n  params.factor  0.5\n"
