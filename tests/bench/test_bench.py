"""The bench's arithmetic, and that its generator counts every wrong answer: measured against its own mock, a second in all."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from bench import report, run, translation
from bench.load import Load, Sample, Shape, Target
from bench.mock import listen


def measured(
    shape: Shape, *, path: str = "/v1/chat/completions", per_s: float = 0
) -> Sample:
    """Run a tenth of a second of load against a mock on a free port."""

    async def go() -> Sample:
        async with await listen() as server:
            target = Target(
                "direct", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"
            )
            load = Load(target, shape)
            return await (
                load.arriving(per_s, 0.02, 0.1) if per_s else load.closed(2, 0.02, 0.1)
            )

    return asyncio.run(go())


def test_percentiles_are_interpolated() -> None:
    assert [
        report.percentile([4, 1, 3, 2, 5], share) for share in (0, 0.5, 0.9, 1)
    ] == [1, 3, 4.6, 5]


def test_a_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        report.percentile([], 0.5)


def test_slope_separates_the_chunk_from_the_stream() -> None:
    chunk_us, stream_us = 40, 320
    assert report.slope(
        16, chunk_us + stream_us / 16, 144, chunk_us + stream_us / 144
    ) == pytest.approx(chunk_us)


def test_added_time_is_a_difference_of_percentiles() -> None:
    assert report.added([110, 120, 130], [10, 30, 50], 0.5) == 90


def test_medians_are_per_figure_and_bad_answers_add_up() -> None:
    rounds = [
        {"call_cpu_us": 70.0, "idle_mb": 90.0, "bad": 0.0},
        {"call_cpu_us": 90.0, "bad": 1.0},
        {"call_cpu_us": 75.0, "bad": 2.0},
    ]
    assert report.medians(rounds) == {"call_cpu_us": 75, "idle_mb": 90, "bad": 3}


def test_a_row_with_bad_answers_is_marked_and_not_drawn() -> None:
    rows = {
        "good": {"call_cpu_us": 70.4, "bad": 0.0},
        "broken": {"call_cpu_us": 1.0, "bad": 2.0},
    }
    assert report.table(rows) == (
        "| target | CPU µs per call | bad |\n|---|--:|--:|\n| good | 70 | 0 |\n| broken (INVALID) | 1 | 2 |"
    )
    assert (">good<" in report.chart(rows), ">broken<" in report.chart(rows)) == (
        True,
        False,
    )


def test_whole_answers_are_counted() -> None:
    sample = measured(Shape())
    assert (sample.bad, sample.done > 10, len(sample.latency_us)) == (
        Counter(),
        True,
        sample.done,
    )


def test_streams_are_counted_by_chunk() -> None:
    sample = measured(Shape(chunks=5))
    assert (
        sample.bad,
        sample.done > 5,
        sample.chunks >= 5 * (sample.done - 4),
        sample.travel_us != [],
    ) == (Counter(), True, True, True)


def test_an_open_loop_sends_at_its_rate() -> None:
    sample = measured(Shape(), per_s=500)
    assert (sample.bad, 30 < sample.asked < 95) == (Counter(), True)


def test_a_broken_stream_is_bad() -> None:
    sample = measured(Shape(chunks=6, broken=True))
    assert (set(sample.bad), sample.done) == ({"connection lost"}, 0)


def test_an_answer_with_too_few_chunks_is_bad() -> None:
    shape = Shape(chunks=6)
    short = Shape(chunks=4)
    object.__setattr__(shape, "request", short.request)
    sample = measured(shape)
    assert (set(sample.bad), sample.done) == ({"short answer"}, 0)


def test_a_target_that_is_not_there_is_bad() -> None:
    async def go() -> Sample:
        async with await listen() as server:
            port = server.sockets[0].getsockname()[1]
        return await Load(Target("gone", f"http://127.0.0.1:{port}/"), Shape()).closed(
            2, 0.0, 0.02
        )

    assert asyncio.run(go()).bad == Counter({"connect": 2})


def test_results_are_written_and_a_bad_answer_fails_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = Target("mine", "http://127.0.0.1:1/")
    bench = run.Bench(run.arguments([]), [target], target, None)
    bench.rounds["mine"] = [{"call_cpu_us": 70.0, "bad": 0.0}]
    assert bench.write(tmp_path)
    bench.rounds["mine"].append({"call_cpu_us": 70.0, "bad": 1.0})
    assert not bench.write(tmp_path)
    assert json.loads((tmp_path / "latest.json").read_text())["rows"] == {
        "mine": {"call_cpu_us": 70, "bad": 1}
    }
    assert "mine (INVALID)" in capsys.readouterr().out


def test_translation_is_measured_between_all_wires() -> None:
    found = translation.measured(1)
    assert set(found) == {(one, other) for one in translation.ASKS for other in translation.SPEAKERS}
    rows = translation.table(found).splitlines()
    assert [row.split(" | ")[0] for row in rows[2:]] == [f"| {translation.TITLES[one]}" for one in translation.ASKS]
    assert [row.split(" | ").index("–") for row in rows[2:]] == [1, 2, 3, 4]


def test_the_table_of_translation_tells_what_is_added_over_the_own_wire() -> None:
    found = {(one, other): (5.0, 2.0) if one == other else (30.4, 6.25) for one in translation.ASKS for other in translation.SPEAKERS}
    assert translation.table(found).splitlines()[2] == "| OpenAI chat | – | 25 / 4.2 | 25 / 4.2 | 25 / 4.2 | 25 / 4.2 |"
