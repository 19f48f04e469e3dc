"""Tables and plots of the results file, between two markers of RESULTS.md.

Every value is the latest of its row and contestant. Of a library that is measured in several ways, the ratio is that
of the way that is best for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.parts import PARTS
from benchmarks.results import Result, latest
from benchmarks.turns import DISTURBED

BEGIN, END = "<!-- generated from results.csv -->", "<!-- end of the generated part -->"
PLOT = "growth.svg"


def write(results: Sequence[Result], folder: Path) -> None:
    """Replaces the generated part of RESULTS.md in a folder, and the plot beside it."""
    path = folder / "RESULTS.md"
    text = path.read_text(encoding="utf-8") if path.exists() else f"# Results\n\n{BEGIN}\n{END}\n"
    before, after = text.split(BEGIN)[0], text.split(END)[-1]
    path.write_text(f"{before}{BEGIN}\n{generated(results)}\n{END}{after}", encoding="utf-8")
    if curves := _curves(latest(results)):
        _plot(curves, folder / PLOT)


def generated(results: Sequence[Result]) -> str:
    """The Markdown between the markers.

    Example:
        >>> print(generated(read(RESULTS)))
    """
    sections, by_part = [], {}
    for one in latest(results):
        by_part.setdefault(one.part, []).append(one)
    for part, lines in by_part.items():
        rows = list(_by_row(one for one in lines if one.x < 0).values())
        curves = _curves(lines)
        sentence = f"`python -m benchmarks {part}`: {PARTS[part].sentence}." if part in PARTS else ""
        sections += [f"\n## {part}\n", sentence, _machines(lines), ""]
        sections += [_table(rows, _peaks(lines))] if rows else []
        sections += [_curve_table(curves), f"\n![How costs grow]({PLOT})"] if curves else []
        sections += _missed(rows) + _failures(lines)
    return "\n".join(sections)


def _machines(lines: Sequence[Result]) -> str:
    """Where and when, in one sentence per machine."""
    found: dict[tuple, list[Result]] = {}
    for one in lines:
        found.setdefault((one.processor, one.instructions, one.cores, one.versions), []).append(one)
    sentences = []
    for (processor, instructions, cores, versions), those in found.items():
        dates = sorted({one.date[:10] for one in those})
        commits = ", ".join(sorted({one.commit for one in those}))
        when = " to ".join(dict.fromkeys((dates[0], dates[-1])))
        sentences.append(f"{processor} ({instructions}), {cores} cores; {versions}; {when}; commit {commits}.")
    return "  \n".join(sentences)


def _peaks(lines: Iterable[Result]) -> dict[str, float]:
    """The fastest matrix product of every policy."""
    peaks: dict[str, float] = {}
    for one in lines:
        if one.row.startswith("matrix product, "):
            policy = one.row.split(", ")[1]
            peaks[policy] = max(one.value, peaks.get(policy, 0))
    return peaks


def best_of(row: Sequence[Result], library: str) -> Result | None:
    """A library's way of use that ours beats the least, of those that did not fail."""
    ways = [one for one in row if one.library == library and not one.failure and one.ratio > 0]
    return min(ways, key=lambda one: one.ratio, default=None)


def _others(rows: Iterable[Sequence[Result]]) -> list[str]:
    """The libraries beside ours, in the order of their first row."""
    return list(dict.fromkeys(one.library for row in rows for one in row if one.ratio > 0))


def _ours(row: Sequence[Result]) -> Result | None:
    return next((one for one in row if one.ratio <= 0 and not one.failure), None)


def _table(rows: Sequence[Sequence[Result]], peaks: dict[str, float]) -> str:
    libraries = _others(rows)
    header = ["row", "unit", "ours"]
    for library in libraries:
        header += [library, "ours better", "wanted", "its memory / ours"]
    header += ["ours, GB", *(["share of the peak"] if any(one.macs for row in rows for one in row) else [])]
    body = []
    for row in rows:
        if not (ours := _ours(row)):
            continue
        cells = [ours.row, ours.unit, _value(ours)]
        for library in libraries:
            best = best_of(row, library)
            cells += _compared(best, ours) if best else [""] * 4
        peak = peaks.get(ours.row.split(", ")[-1])
        # Forward, the gradient of the weights, and that of the inputs.
        share = f"{3 * ours.macs * ours.value / peak / 1e9:.0%}" if peak and ours.macs else ""
        body.append([*cells, f"{ours.peak_megabytes / 1000:.2f}", share][: len(header)])
    return _markdown(header, body)


def _compared(best: Result, ours: Result) -> list[str]:
    way = best.contestant.partition(", ")[2]
    return [
        f"{_value(best)}{' ' + way if way else ''}",
        f"{_times(best.ratio)} ({_times(best.ratio_least)}–{_times(best.ratio_most)})",
        _times(best.wanted) if best.wanted else "",
        f"{best.peak_megabytes / ours.peak_megabytes:.2f}",
    ]


def _times(ratio: float) -> str:
    return f"{ratio:.2f}"


def _value(result: Result) -> str:
    return f"{_short(result.value)} ({_short(result.least)}–{_short(result.most)})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _markdown(header: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    ruler = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, ruler, *body))


def _missed(rows: Iterable[Sequence[Result]]) -> list[str]:
    """Sentences with every wish that was not reached, and where a library's best way takes less memory than ours."""
    slower, larger = [], []
    for row in rows:
        for library in _others([row]):
            ours, best = _ours(row), best_of(row, library)
            if not ours or not best or not best.wanted:
                continue
            if best.ratio < best.wanted:
                slower.append(f"{best.row} beside {library} {_times(best.ratio)} of {_times(best.wanted)}")
            if best.peak_megabytes < ours.peak_megabytes:
                larger.append(f"{best.row} beside {library} {_times(best.peak_megabytes / ours.peak_megabytes)}")
    named = ("Not reached", slower), ("Less memory than ours", larger)
    return [f"\n{what}: {'; '.join(those)}." for what, those in named if those]


def _failures(lines: Sequence[Result]) -> list[str]:
    """Sentences with what has no value, and what was measured beside other work."""
    failed = [f"{one.row}, {one.contestant}: {one.failure}" for one in lines if one.failure]
    disturbed = [f"{one.row}, {one.contestant} {one.disturbed:.0%}" for one in lines if one.disturbed > DISTURBED]
    named = ("Without a value", failed), ("Other processes had a share of the processor", disturbed)
    return [f"\n{what}: {'; '.join(those)}." for what, those in named if those]


def _curves(lines: Iterable[Result]) -> dict[str, list[Result]]:
    """The places of every curve, by x."""
    return _by_row(sorted((one for one in lines if one.x >= 0 and not one.failure), key=lambda one: one.x))


def _by_row(lines: Iterable[Result]) -> dict[str, list[Result]]:
    rows: dict[str, list[Result]] = {}
    for one in lines:
        rows.setdefault(one.row, []).append(one)
    return rows


def exponent(curve: Sequence[Result]) -> float:
    """The power of x with which the cost grows, by least squares of logarithms over the upper half of the places.

    A rate is turned into a cost. NaN of fewer than two places.
    """
    upper = curve[min(len(curve) // 2, max(len(curve) - 2, 0)) :]
    if len(upper) < 2:
        return math.nan
    sign = -1 if upper[0].unit.endswith("/s") else 1
    points = [(math.log(one.x), sign * math.log(one.value)) for one in upper]
    means = [sum(axis) / len(points) for axis in zip(*points, strict=True)]
    products = sum((x - means[0]) * (y - means[1]) for x, y in points)
    return products / sum((x - means[0]) ** 2 for x, _ in points)


def _curve_table(curves: dict[str, list[Result]]) -> str:
    body = []
    for name, curve in curves.items():
        places = ", ".join(f"{_short(one.x)}: {_short(one.value)}" for one in curve)
        peaks = " to ".join(f"{one.peak_megabytes / 1000:.2f}" for one in (curve[0], curve[-1]))
        body.append([name, places, curve[0].unit, f"{exponent(curve):.2f}", peaks])
    return _markdown(["what grows", "place: cost", "unit", "exponent", "peak memory, GB"], body)


def _plot(curves: dict[str, list[Result]], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "benchmarks"
    from matplotlib import pyplot

    across = 3
    down = -(-len(curves) // across)
    figure, axes = pyplot.subplots(down, across, figsize=(4 * across, 3 * down), squeeze=False, layout="constrained")
    for place in axes.flat:
        place.set_visible(False)
    for place, (name, curve) in zip(axes.flat, curves.items(), strict=False):
        place.set_visible(True)
        x, y = [one.x for one in curve], [one.value for one in curve]
        place.loglog(x, y, "o-")
        # What linear growth from the last place would have been.
        place.loglog(x, [y[-1] * one / x[-1] for one in x], ":", color="gray")
        place.set(title=f"{name}: exponent {exponent(curve):.2f}", ylabel=curve[0].unit)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
