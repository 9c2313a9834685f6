"""The bench's arithmetic, its Markdown table and its bar chart. No clock, no network."""

import statistics
from collections.abc import Mapping, Sequence
from html import escape

Figures = Mapping[str, float]

COLUMNS: tuple[tuple[str, str, int], ...] = (
    ("CPU µs per call", "call_cpu_us", 0),
    ("calls/s, one core", "calls_per_s", 0),
    ("added µs at 200/s P50", "added200_p50_us", 0),
    ("P95", "added200_p95_us", 0),
    ("P99", "added200_p99_us", 0),
    ("added µs at 1000/s P50", "added1000_p50_us", 0),
    ("P95", "added1000_p95_us", 0),
    ("P99", "added1000_p99_us", 0),
    ("CPU µs per chunk", "chunk_cpu_us", 1),
    ("added µs to first token P50", "added_first_p50_us", 0),
    ("open streams", "open_streams", 0),
    ("their CPU, cores", "open_cores", 2),
    ("chunk travel P99 µs", "open_travel_p99_us", 0),
    ("Pss MB idle", "idle_mb", 0),
    ("after", "after_mb", 0),
    ("intake µs per receipt", "receipt_cpu_us", 0),
    ("bad", "bad", 0),
)
BARS = (
    ("CPU µs per call", "call_cpu_us"),
    ("CPU µs per streamed chunk", "chunk_cpu_us"),
    ("Added P50 at 1000 calls/s, µs", "added1000_p50_us"),
)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of the values lie, interpolated; raises ValueError without values."""
    if not values:
        raise ValueError("A percentile needs at least one value.")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def slope(short_chunks: int, short_us: float, long_chunks: int, long_us: float) -> float:
    """Return CPU per further chunk, in microseconds, from the CPU per chunk of short and of long streams.

    CPU per chunk is slope + (cost of the stream itself) / chunks; two lengths separate the two.
    """
    return (long_us * long_chunks - short_us * short_chunks) / (long_chunks - short_chunks)


def added(through: Sequence[float], direct: Sequence[float], share: float) -> float:
    """Return how much a percentile grows by going through the gateway, in the unit of the values."""
    return percentile(through, share) - percentile(direct, share)


def medians(rounds: Sequence[Figures]) -> dict[str, float]:
    """Return the median of every figure over the rounds that have it; `bad` is summed, for one bad answer spoils a row."""
    names = dict.fromkeys(name for figures in rounds for name in figures)
    kept = {name: statistics.median(figures[name] for figures in rounds if name in figures) for name in names}
    return kept | {"bad": sum(figures.get("bad", 0) for figures in rounds)}


def table(rows: Mapping[str, Figures]) -> str:
    """Return one Markdown table, a row per target; figures nobody has are left out, bad rows are marked invalid."""
    columns = [column for column in COLUMNS if column[1] == "bad" or any(column[1] in figures for figures in rows.values())]
    lines = [
        "| target | " + " | ".join(title for title, _, _ in columns) + " |",
        "|---|" + "--:|" * len(columns),
    ]
    for target, figures in rows.items():
        cells = [f"{figures[name]:.{digits}f}" if name in figures else "-" for _, name, digits in columns]
        lines.append(f"| {target}{' (INVALID)' if figures.get('bad') else ''} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def chart(rows: Mapping[str, Figures]) -> str:
    """Return an SVG of horizontal bars, shorter is better; targets with bad answers are left out."""
    parts: list[str] = []
    top = 10
    for title, name in BARS:
        found = {target: figures[name] for target, figures in rows.items() if name in figures and not figures.get("bad")}
        if not found:
            continue
        parts.append(f'<text x="10" y="{top + 16}" font-weight="bold">{escape(title)}</text>')
        top += 26
        longest = max(*found.values(), 1e-9)
        for target, value in found.items():
            width = max(1.0, 380 * value / longest)
            parts.append(f'<text x="10" y="{top + 14}">{escape(target)}</text>')
            parts.append(f'<rect x="130" y="{top}" width="{width:.0f}" height="18" fill="#4c6ef5"/>')
            parts.append(f'<text x="{136 + width:.0f}" y="{top + 14}">{value:.1f}</text>')
            top += 24
        top += 14
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="600" height="{top}" font-family="sans-serif" font-size="13">'
    return head + '<rect width="100%" height="100%" fill="white"/>' + "".join(parts) + "</svg>\n"
