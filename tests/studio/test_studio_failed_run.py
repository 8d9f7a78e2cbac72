"""Test of the page of a run that ended with an error."""

from __future__ import annotations

from pathlib import Path

from audiogan.studio.runs import Run


def test_a_failed_run_is_stopped_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"status": "failed (no space left)"}')
    facts = Run.from_folder(tmp_path, "run").status()
    assert facts["state"] == "stopped" and facts["why"] == "no space left"
