"""Tables and plots of the benchmarks' results file."""

import dataclasses

import pytest

from benchmarks.report import BEGIN, END, exponent, generated, write
from benchmarks.results import RESULTS, Result, append, read

LINE = Result(
    date="2026-11-28T12:00:00Z",
    part="training-step",
    row="net, float32",
    x=-1,
    contestant="kerascnn",
    unit="images/s",
    value=20.0,
    least=19.0,
    most=21.0,
    ratio=-1,
    ratio_least=-1,
    ratio_most=-1,
    wanted=0,
    rounds=5,
    disturbed=0.01,
    ready_seconds=3.5,
    peak_megabytes=2000,
    macs=0,
    failure="",
    processor="Example CPU",
    instructions="avx512f",
    cores=2,
    versions="Python 3.11",
    commit="abc",
)


def line(**values):
    return dataclasses.replace(LINE, **values)


def peer(contestant, value, ratio, **values):
    found = {"ratio": ratio, "ratio_least": ratio - 0.1, "ratio_most": ratio + 0.1, "wanted": 1.2} | values
    return line(contestant=contestant, value=value, least=value, most=value, peak_megabytes=3000, **found)


def test_the_best_way_of_a_library_is_compared():
    lines = [line(), peer("PyTorch, eager", 10.0, 2.0), peer("PyTorch, compiled", 18.0, 1.11), peer("Keras", 25.0, 0.8)]
    text = generated(lines)
    row = next(one for one in text.splitlines() if one.startswith("| net, float32"))
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[2] == "20 (19–21)"
    assert cells[3:7] == ["18 (18–18) compiled", "1.11 (1.01–1.21)", "1.20", "1.50"]
    assert cells[7:11] == ["25 (25–25)", "0.80 (0.70–0.90)", "1.20", "1.50"]
    assert cells[11] == "2.00"
    assert "Not reached: net, float32 beside PyTorch 1.11 of 1.20; net, float32 beside Keras 0.80 of 1.20." in text
    assert "Less memory" not in text
    assert "Less memory than ours: net, float32 beside Keras 0.50." in generated(
        [line(peak_megabytes=6000), peer("Keras", 1.0, 2.0)]
    )
    assert "Example CPU (avx512f), 2 cores; Python 3.11; 2026-11-28; commit abc." in text


def test_a_later_measurement_replaces_an_earlier_one_and_failures_are_said():
    failed = peer("Keras", -1, -1, failure="took more than 9 s")
    text = generated([line(), line(value=30.0, disturbed=0.3), failed])
    assert "Other processes had a share of the CPU: net, float32, kerascnn 30%." in text
    assert "| 30 (19–21) |" in text and "| 20 (19–21) |" not in text
    assert "Without a value: net, float32, Keras: took more than 9 s." in text


def test_share_of_the_peak():
    peak = line(row="matrix product, float32", unit="10⁹ multiply-adds/s", contestant="TensorFlow", value=300.0)
    faster = peer("PyTorch", 400.0, 0.75, row=peak.row, unit=peak.unit, wanted=0)
    # 3 · 4 · 10⁹ · 20 of 400 · 10⁹.
    text = generated([peak, faster, line(macs=4e9)])
    assert next(one for one in text.splitlines() if one.startswith("| net")).endswith("| 60% |")


@pytest.mark.parametrize(("unit", "sign"), [("s", 1), ("images/s", -1)])
def test_exponent_of_a_power_law(unit, sign, tmp_path):
    curve = [line(part="growth", row="curve", x=x, unit=unit, value=3 * x ** (1.5 * sign)) for x in (1, 10, 100, 1000)]
    assert exponent(curve) == pytest.approx(1.5)
    write(curve, tmp_path)
    assert "| curve | " in (tmp_path / "RESULTS.md").read_text() and (tmp_path / "plots/growth.svg").exists()


def test_what_is_written_by_hand_stays(tmp_path):
    path = tmp_path / "RESULTS.md"
    path.write_text(f"# Results\n\nBefore.\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    write([line(), peer("Keras", 10.0, 2.0)], tmp_path)
    assert (tmp_path / "plots/training-step.svg").exists()
    text = path.read_text()
    assert text.startswith("# Results\n\nBefore.\n") and text.endswith("\n\nAfter.\n")
    assert "old" not in text and "| net, float32 |" in text


def test_lines_survive_the_file(tmp_path):
    lines = [line(failure='a "quoted", text', x=0.5), peer("Keras", 1234.5, 1.0)]
    append(tmp_path / "results.csv", lines[:1])
    append(tmp_path / "results.csv", lines[1:])
    assert read(tmp_path / "results.csv") == lines


def test_the_tables_are_those_of_the_results():
    text = RESULTS.with_name("RESULTS.md").read_text(encoding="utf-8")
    assert text.split(BEGIN)[1].split(END)[0] == f"\n{generated(read(RESULTS))}\n", "run python -m benchmarks --report"
