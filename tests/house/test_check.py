"""`make test` runs every step, whatever fails before it, and tells all that failed."""

from contextlib import nullcontext

import pytest

from deploy import check


def test_every_step_runs_and_all_that_failed_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ran = []

    def step(name: str, *, fails: bool) -> None:
        def run(*given: str) -> None:
            ran.append((name, *given))
            if fails:
                raise check.CheckFailed(f"{name} failed")

        monkeypatch.setattr(check, name, run)

    step("lint", fails=False)
    step("journeys", fails=True)
    step("on_sqlite", fails=True)
    step("on_postgres", fails=False)
    monkeypatch.setattr(check, "tools_environment", dict)
    monkeypatch.setattr(check, "databases", lambda: nullcontext("a URL"))
    with pytest.raises(check.CheckFailed, match="journeys failed\non_sqlite failed"):
        check.everything()
    assert ran == [("lint",), ("journeys",), ("on_sqlite",), ("on_postgres", "a URL")]
    assert "Everything passed" not in capsys.readouterr().out
