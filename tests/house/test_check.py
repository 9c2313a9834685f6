"""The command behind `make test` shows all that runs side by side, and tells when it failed."""

import pytest

from deploy import check


def test_what_runs_beside_is_shown_and_its_failure_told(capsys: pytest.CaptureFixture[str]) -> None:
    with check.beside("nonsense") as follow:
        assert follow() is False
    assert capsys.readouterr().out.startswith("Say one of: everything, ")


def test_what_runs_beside_is_ended_with_what_is_done_inside() -> None:
    with pytest.raises(KeyError), check.beside("units"):
        raise KeyError
