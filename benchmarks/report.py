"""Tables and plots of the results file, between two markers of RESULTS.md.

Every value is the latest of its row and contestant. Of a library that is measured in several ways, the ratio is that
of the way that is best for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.parts import PARTS
from benchmarks.results import Result, latest
from benchmarks.turns import DISTURBED

BEGIN, END = "<!-- generated from results.csv -->", "<!-- end of the generated part -->"
PLOTS = "plots"  # A folder beside RESULTS.md, with a file per part


def write(results: Sequence[Result], folder: Path) -> None:
    """Replaces the generated part of RESULTS.md in a folder, and the plots beside it."""
    path = folder / "RESULTS.md"
    text = path.read_text(encoding="utf-8") if path.exists() else f"# Results\n\n{BEGIN}\n{END}\n"
    before, after = text.split(BEGIN)[0], text.split(END)[-1]
    path.write_text(f"{before}{BEGIN}\n{generated(results)}\n{END}{after}", encoding="utf-8")
    (folder / PLOTS).mkdir(exist_ok=True)
    for part, lines in _by(lambda one: one.part, latest(results)).items():
        if curves := _curves(lines):
            _plot_curves(curves, folder / PLOTS / f"{part}.svg")
        elif rows := _compared_rows(lines):
            _plot_ratios(rows, folder / PLOTS / f"{part}.svg")


def generated(results: Sequence[Result]) -> str:
    """The Markdown between the markers.

    Example:
        >>> print(generated(read(RESULTS)))
    """
    sections = []
    for part, lines in _by(lambda one: one.part, latest(results)).items():
        rows, curves = list(_rows(lines).values()), _curves(lines)
        sentence = f"`python -m benchmarks {part}`: {PARTS[part].sentence}." if part in PARTS else ""
        sections += [f"\n## {part}\n", sentence, _machines(lines), ""]
        sections += [_table(rows, _peaks(lines))] if rows else []
        sections += [_curve_table(curves)] if curves else []
        sections += [f"\n![{part}]({PLOTS}/{part}.svg)"] if curves or _compared_rows(lines) else []
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
    named = ("Without a value", failed), ("Other processes had a share of the CPU", disturbed)
    return [f"\n{what}: {'; '.join(those)}." for what, those in named if those]


def _by(key: Callable[[Result], str], lines: Iterable[Result]) -> dict[str, list[Result]]:
    """Lines by part or row, in the order of the first of each."""
    found: dict[str, list[Result]] = {}
    for one in lines:
        found.setdefault(key(one), []).append(one)
    return found


def _rows(lines: Iterable[Result]) -> dict[str, list[Result]]:
    return _by(lambda one: one.row, (one for one in lines if one.x < 0))


def _compared_rows(lines: Iterable[Result]) -> dict[str, list[Result]]:
    """Rows with a library that ours should be faster than, without those others."""
    wished = ([best_of(row, library) for library in _others([row])] for row in _rows(lines).values())
    found = {one[0].row: [best for best in one if best.wanted] for one in wished if one}
    return {name: row for name, row in found.items() if row}


def _curves(lines: Iterable[Result]) -> dict[str, list[Result]]:
    """The places of every curve, by x."""
    places = sorted((one for one in lines if one.x >= 0 and not one.failure), key=lambda one: one.x)
    return _by(lambda one: one.row, places)


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


def _pyplot():
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "benchmarks"  # The same file for the same results
    from matplotlib import pyplot

    return pyplot


def _plot_curves(curves: dict[str, list[Result]], path: Path) -> None:
    pyplot, across = _pyplot(), 3
    down = -(-len(curves) // across)
    figure, axes = pyplot.subplots(down, across, figsize=(4 * across, 3 * down), squeeze=False, layout="constrained")
    for place in axes.flat[len(curves) :]:
        place.set_visible(False)
    for place, (name, curve) in zip(axes.flat, curves.items(), strict=False):
        x, y = [one.x for one in curve], [one.value for one in curve]
        place.loglog(x, y, "o-")
        # What linear growth from the last place would have been.
        place.loglog(x, [y[-1] * one / x[-1] for one in x], ":", color="gray")
        place.set(title=f"{name}: exponent {exponent(curve):.2f}", ylabel=curve[0].unit)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _plot_ratios(rows: dict[str, list[Result]], path: Path) -> None:
    """How many times faster ours is, with the range over the rounds and a stroke where it should be."""
    pyplot, names = _pyplot(), list(rows)
    figure, axes = pyplot.subplots(figsize=(8, 1.2 + 0.3 * len(names)), layout="constrained")
    for library, best in _by(lambda one: one.library, (one for row in rows.values() for one in row)).items():
        x, y = [one.ratio for one in best], [names.index(one.row) for one in best]
        ranges = [one.ratio - one.ratio_least for one in best], [one.ratio_most - one.ratio for one in best]
        bars = axes.errorbar(x, y, xerr=ranges, fmt="o", label=library)
        axes.plot([one.wanted for one in best], y, "|", markersize=12, color=bars[0].get_color())
    axes.axvline(1, color="gray", linewidth=1)
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    axes.set_xlabel("times faster than; stroke: wanted")
    axes.legend()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
