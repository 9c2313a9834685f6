"""Measure the gateway: `python -m bench.run` starts a private copy of the product, or measures given targets. See bench/README.md."""

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench import processes, report
from bench.load import Load, Sample, Shape, Target
from bench.product import Product, running

RESULTS = Path(__file__).parent / "results"
PATH = "/v1/chat/completions"
SHORT, LONG = Shape(chunks=16, pace_ms=5), Shape(chunks=144, pace_ms=5)
STREAM_LINES = 3
DIRECT = "direct"


class Bench:
    """One run: its targets, the direct road to the mock, and the figures gathered per target and round."""

    def __init__(
        self,
        asked: argparse.Namespace,
        targets: Sequence[Target],
        direct: Target,
        product: Product | None,
    ) -> None:
        self.asked, self.targets, self.direct, self.product = (
            asked,
            targets,
            direct,
            product,
        )
        self.rates: list[int] = asked.rates
        self.rounds: dict[str, list[dict[str, float]]] = {target.name: [] for target in targets}
        self.notes: list[str] = []

    def load(self, target: Target, shape: Shape) -> Load:
        """Return a fresh load on a target that reads the target's CPU clock."""
        return Load(target, shape, lambda: processes.cpu_us(target.pids))

    def judge(self, target: Target, phase: str, sample: Sample) -> float:
        """Note every wrong answer and a generator that was too slow; return how many answers were wrong."""
        bad = sample.bad.total() + (sample.done == 0 and sample.chunks == 0)
        if bad:
            self.notes.append(f"{target.name}, {phase}: {dict(sample.bad) or 'no answer inside the window'}")
        if target.pids and phase == "calls" and sample.cpu_us < 0.9e6 * sample.window_s:
            self.notes.append(
                f"{target.name}, {phase}: the gateway was idle {1 - sample.cpu_us / sample.window_s / 1e6:.0%}; calls/s is a lower bound"
            )
        return bad

    async def calls(self, target: Target) -> tuple[dict[str, float], float]:
        """Closed loop of whole answers: CPU per call and calls per second, and bad answers."""
        before = self.product.rows() if self.product and target.name == self.product.name else 0
        clock = self.product.steward_clock() if self.product else None
        sample = await self.load(target, Shape()).closed(32, self.asked.warm, self.asked.seconds)
        bad = self.judge(target, "calls", sample)
        figures = {"calls_per_s": sample.done / sample.window_s}
        if target.pids:
            figures["call_cpu_us"] = sample.cpu_us / max(1, sample.done)
        if self.product and clock and target.name == self.product.name:
            taken = await self.product.taken(before + sample.asked)
            figures["receipt_cpu_us"] = clock() / sample.asked
            if taken - before != sample.asked:
                bad += abs(taken - before - sample.asked)
                self.notes.append(f"{target.name}: {sample.asked} calls answered, {taken - before} usage records")
        return figures, bad

    async def arriving(self, target: Target, rate: int, direct: Sample) -> tuple[dict[str, float], float]:
        """Open loop at a fixed rate: percentiles added to the direct road."""
        sample = await self.load(target, Shape()).arriving(rate, self.asked.warm, self.asked.seconds)
        bad = self.judge(target, f"{rate}/s", sample)
        if not sample.latency_us:
            return {}, bad
        pairs = ((50, 0.5), (95, 0.95), (99, 0.99))
        return {f"added{rate}_p{name}_us": report.added(sample.latency_us, direct.latency_us, share) for name, share in pairs}, bad

    async def streams(self, target: Target, direct: Sample) -> tuple[dict[str, float], float]:
        """Short and long streams: CPU per further chunk, time added to the first token."""
        short = await self.load(target, SHORT).closed(STREAM_LINES, self.asked.warm, self.asked.seconds)
        long = await self.load(target, LONG).closed(STREAM_LINES, self.asked.warm, self.asked.seconds)
        bad = self.judge(target, "short streams", short) + self.judge(target, "long streams", long)
        figures = {}
        if target.pids and short.chunks and long.chunks:
            figures["chunk_cpu_us"] = report.slope(
                SHORT.chunks,
                short.cpu_us / short.chunks,
                LONG.chunks,
                long.cpu_us / long.chunks,
            )
        if short.first_us and direct.first_us:
            figures["added_first_p50_us"] = report.added(short.first_us, direct.first_us, 0.5)
        return figures, bad

    async def crowd(self, target: Target) -> tuple[dict[str, float], float]:
        """Many slow streams at once: how many were open, their CPU in cores, how long chunks travelled."""
        shape = Shape(chunks=150, pace_ms=20)
        sample = await self.load(target, shape).closed(self.asked.streams, 3.0, 3.0, ramp_s=2.5)
        bad = self.judge(target, "open streams", sample)
        figures = {"open_streams": float(sample.peak_open)}
        if target.pids:
            figures["open_cores"] = sample.cpu_us / 1e6 / sample.window_s
        if sample.travel_us:
            figures["open_travel_p99_us"] = report.percentile(sample.travel_us, 0.99)
        return figures, bad

    async def round(self, number: int) -> None:
        """Measure every target once, every second round in the other order, the direct road first."""
        direct = {rate: await self.load(self.direct, Shape()).arriving(rate, self.asked.warm, self.asked.seconds) for rate in self.rates}
        direct_streams = await self.load(self.direct, SHORT).closed(STREAM_LINES, self.asked.warm, self.asked.seconds)
        for target in self.targets if number % 2 == 0 else tuple(reversed(self.targets)):
            figures: dict[str, float] = {"bad": sum(sample.bad.total() for sample in (*direct.values(), direct_streams))}
            if target.pids and number == 0:
                figures["idle_mb"] = processes.memory_mb(target.pids)
            await self.phases(target, figures, direct, direct_streams)
            if target.pids:
                figures["after_mb"] = processes.memory_mb(target.pids)
            self.rounds[target.name].append(figures)

    async def phases(
        self,
        target: Target,
        figures: dict[str, float],
        direct: dict[int, Sample],
        direct_streams: Sample,
    ) -> None:
        """Run the phases asked for on one target and add what they found to `figures`."""
        outcomes = []
        phases: list[str] = self.asked.phases
        if "calls" in phases:
            outcomes.append(await self.calls(target))
        if "rates" in phases:
            most = outcomes[0][0]["calls_per_s"] * 0.95 if outcomes else float("inf")
            outcomes += [await self.arriving(target, rate, direct[rate]) for rate in self.rates if rate < most]
        if "streams" in phases:
            outcomes.append(await self.streams(target, direct_streams))
        if "crowd" in phases:
            outcomes.append(await self.crowd(target))
        for found, bad in outcomes:
            figures |= found
            figures["bad"] += bad

    def write(self, folder: Path) -> bool:
        """Print the table, write latest.json and latest.svg, and say whether every answer was right."""
        rows = {name: report.medians(rounds) for name, rounds in self.rounds.items()}
        print(report.table(rows))
        for note in self.notes:
            print(f"# {note}")
        folder.mkdir(parents=True, exist_ok=True)
        machine = {
            "python": platform.python_version(),
            "kernel": platform.release(),
            "processor": processes.processor(),
        }
        settings = {name: value for name, value in vars(self.asked).items() if name not in ("header", "target", "out")}
        kept = {
            "at": datetime.now(UTC).isoformat(),
            "machine": machine,
            "settings": settings,
            "rows": rows,
            "rounds": self.rounds,
            "notes": self.notes,
        }
        (folder / "latest.json").write_text(json.dumps(kept, indent=1) + "\n")
        (folder / "latest.svg").write_text(report.chart(rows))
        return not any(figures["bad"] for figures in rows.values())


def named(values: Sequence[str]) -> dict[str, list[str]]:
    """Return `name=value` arguments by name; raises SystemExit for one without a name."""
    found: dict[str, list[str]] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals:
            raise SystemExit(f"{text!r} must look like name=value.")
        found.setdefault(name, []).append(value)
    return found


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument(
        "--target",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="measure this chat-completions URL",
    )
    parser.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="NAME=Key: value",
        help="a header for that target",
    )
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME=MODEL",
        help="the model name for that target (bench-mock)",
    )
    parser.add_argument(
        "--pid",
        action="append",
        default=[],
        metavar="NAME=PID",
        help="a process of that target (default: who listens on its port)",
    )
    parser.add_argument("--no-product", action="store_true", help="measure only the targets given")
    parser.add_argument(
        "--mock-port",
        type=int,
        default=9111,
        help="where the mock upstream listens; targets must send there",
    )
    parser.add_argument(
        "--phases",
        type=lambda text: text.split(","),
        default=["calls", "rates", "streams", "crowd"],
    )
    parser.add_argument(
        "--rates",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[200, 1000],
        help="calls per second",
    )
    parser.add_argument("--streams", type=int, default=700, help="open streams of the crowd phase")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="measured time per load")
    parser.add_argument("--warm", type=float, default=1.0, help="warm-up per load, seconds")
    parser.add_argument("--gateway-core", type=int, default=0)
    parser.add_argument("--load-core", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args(given)


def others(asked: argparse.Namespace) -> list[Target]:
    """Return the targets of the command line, pinned to the gateway's core; raises SystemExit where nobody listens."""
    headers, models, pids = named(asked.header), named(asked.model), named(asked.pid)
    found = []
    for name, urls in named(asked.target).items():
        own = tuple(int(pid) for pid in pids.get(name, [])) or processes.listening(urls[0])
        if not own:
            raise SystemExit(f"{name}: no process of this machine listens at {urls[0]}. Start it, or name it with --pid.")
        processes.pin(own, asked.gateway_core)
        found.append(
            Target(
                name,
                urls[0],
                tuple(headers.get(name, [])),
                models.get(name, ["bench-mock"])[-1],
                own,
            )
        )
    return found


async def measure(bench: Bench) -> None:
    """Run all rounds. The generator's own collector stays off, or its pauses would show as the gateway's latency."""
    gc.freeze()
    gc.disable()
    for number in range(bench.asked.rounds):
        await bench.round(number)
        gc.collect()


def main() -> int:
    """Start the mock and, unless told otherwise, the product; measure; return 0 when every answer was right."""
    asked = arguments()
    if (os.cpu_count() or 1) <= max(asked.gateway_core, asked.load_core):
        raise SystemExit("The bench needs two cores: one for the gateway, one for the load.")
    os.sched_setaffinity(0, {asked.load_core})
    mock = [
        sys.executable,
        "-m",
        "bench.mock",
        "--port",
        str(asked.mock_port),
        "--cpu",
        str(asked.load_core),
    ]
    with (
        subprocess.Popen(mock, stdout=subprocess.PIPE, text=True) as upstream,
        tempfile.TemporaryDirectory(prefix="symbiosis-bench-") as folder,
    ):
        try:
            assert upstream.stdout is not None
            port = upstream.stdout.readline().strip()
            if not port:
                raise SystemExit(f"The mock upstream could not listen on port {asked.mock_port}. Choose another with --mock-port.")
            direct = Target(DIRECT, f"http://127.0.0.1:{port}{PATH}")
            targets = others(asked)
            if asked.no_product:
                bench = Bench(asked, targets, direct, None)
                uvloop.run(measure(bench))
            else:
                with running(
                    Path(folder),
                    f"http://127.0.0.1:{port}/v1",
                    asked.gateway_core,
                    asked.load_core,
                ) as product:
                    bench = Bench(asked, [product.target, *targets], direct, product)
                    uvloop.run(measure(bench))
            return 0 if bench.write(asked.out) else 1
        finally:
            upstream.terminate()


if __name__ == "__main__":
    sys.exit(main())
