"""`python -m benchmarks` with contestants that take no time."""

import inspect
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.__main__ import OPTIONS, main, parser_of
from benchmarks.contestant_process import Round
from benchmarks.part import Contestant, Options, Part, Row
from benchmarks.parts import PARTS
from benchmarks.results import read
from benchmarks.turns import take_turns
from support.fake_contestants import busy, counting, ending, failing_later, slow, unprepared

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs the command on fake parts; its status, what it prints, and the lines of the results file."""
    # For the processes of contestants.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), str(ROOT / "tests"))))

    def of(rows, *arguments):
        parts = {"fake": Part("nothing", ("seconds",), lambda options: rows)}
        results = tmp_path / "results.csv"
        status = main([*arguments, "--results", str(results)], parts)
        return status, capsys.readouterr().out, read(results)

    return of


@dataclass(eq=False)
class FakeProcess:
    contestant: Contestant
    measure: Callable[[], Round]
    rounds: list[Round]


def contestant(name, values, log="/dev/null", **more):
    return Contestant(name, counting, {"name": name, "values": values, "log": str(log)}, **more)


def test_contestants_take_turns_in_processes_of_their_own(run, tmp_path):
    log = tmp_path / "log"
    first = contestant("ours", [10.0, 30.0, 20.0, 40.0, 50.0, 60.0], log)
    others = (
        contestant("peer, eager", [5.0, 10.0, 20.0], log, wanted=2.5),
        contestant("peer, compiled", [80.0] * 3, log),
    )
    status, _, lines = run([Row("row", "images/s", (first, *others))], "--rounds", "3", "--together", "2")
    assert status == 0
    names = [" ".join(line.split()[:-1]) for line in log.read_text().splitlines()]
    eager, compiled = ["ours", "peer, eager"], ["ours", "peer, compiled"]
    assert names == [*eager, *eager[::-1], *eager, *compiled, *compiled[::-1], *compiled]
    processes = {tuple(line.rsplit(" ", 1)) for line in log.read_text().splitlines()}
    assert len(processes) == len({process for _, process in processes}) == 3
    by_name = {line.contestant: line for line in lines}
    # Rounds in pairs: 10/5, 30/10, 20/20 and 40/80, 50/80, 60/80.
    ratios = {name: (line.ratio, line.ratio_least, line.ratio_most) for name, line in by_name.items()}
    assert ratios == {"ours": (-1, -1, -1), "peer, eager": (2, 1, 3), "peer, compiled": (0.625, 0.5, 0.75)}
    values = {name: (line.value, line.least, line.most, line.rounds) for name, line in by_name.items()}
    assert values["ours"] == (35, 10, 60, 6) and values["peer, eager"] == (10, 5, 20, 3)
    assert by_name["peer, eager"].wanted == 2.5
    assert all(line.peak_megabytes > 5 and line.macs == 1e9 and line.ready_seconds >= 0 for line in lines)


def test_a_contestants_own_work_is_no_disturbance(run):
    row = Row("row", "s", (Contestant("ours", busy, {"seconds": 0.3}),))
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        _, _, (beside_work,) = run([row], "--rounds", "1")
    finally:
        other.kill()
    # Half of two cores; with its own work it would be all.
    assert 0.1 < beside_work.disturbed < 0.99


@pytest.mark.parametrize(
    ("disturbances", "kept"),
    [
        ([0.0, 0.0], [0, 1]),
        ([0.5, 0.0, 0.0], [1, 2]),
        # No more than twice as many; the best are kept.
        ([0.5, 0.4, 0.02, 0.3], [2, 3]),
    ],
)
def test_disturbed_rounds_are_repeated(disturbances, kept):
    rest = iter(Round(number, one) for number, one in enumerate(disturbances))
    process = FakeProcess(contestant("ours", []), lambda: next(rest), [])
    take_turns([process], {}, 2, 4, "s", lambda line: None)
    assert sorted(one.value for one in process.rounds) == kept and next(rest, None) is None


def test_less_is_better_of_seconds(run):
    row = Row("row", "s", (contestant("ours", [2.0]), contestant("peer", [5.0])))
    _, _, (peer, _) = run([row], "--rounds", "1")
    assert (peer.contestant, peer.ratio) == ("peer", 2.5)


def test_what_is_not_installed_is_skipped_with_a_sentence(run):
    row = Row("row", "s", (contestant("ours", [1.0]), contestant("peer", [1.0], packages=("no_such_package",))))
    status, said, lines = run([row], "--rounds", "1")
    assert status == 0
    assert "fake: row: peer is skipped, because no_such_package is not installed" in said
    assert [line.contestant for line in lines] == ["ours"]


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (unprepared, "MemoryError: no memory for this network"),
        (ending, "ended with status 3: a library's last words"),
        (failing_later, "ValueError: a round failed"),
        (slow, "took more than 1 s"),
    ],
)
def test_a_failure_is_recorded_and_the_others_go_on(run, prepare, reason):
    row = Row("row", "s", (contestant("ours", [1.0]), Contestant("broken", prepare), contestant("peer", [3.0])))
    status, said, lines = run([row], "--rounds", "1", "--limit", "1")
    assert status == 1
    assert f"broken failed: {reason}" in said
    assert {line.contestant: (line.value, line.failure) for line in lines} == {
        "ours": (1, ""),
        "peer": (3, ""),
        "broken": (-1, reason),
    }


def test_without_ours_there_is_no_row(run):
    status, _, lines = run([Row("row", "s", (Contestant("ours", unprepared), contestant("peer", [1.0])))])
    assert status == 1
    assert [line.contestant for line in lines] == ["ours"]


def test_resume_leaves_out_what_was_measured(run):
    rows = [Row("one", "s", (contestant("ours", [1.0]), contestant("peer", [1.0])))]
    run(rows, "--rounds", "1")
    rows.append(Row("two", "s", (contestant("ours", [1.0]),)))
    _, said, lines = run(rows, "--rounds", "1", "--resume")
    assert "fake: one: measured at this commit already" in said
    assert Counter(line.row for line in lines) == {"one": 2, "two": 1}


def test_only_some_libraries(run):
    row = Row("row", "s", (contestant("ours", [1.0]), contestant("peer, eager", [1.0]), contestant("other", [1.0])))
    _, _, lines = run([row], "--rounds", "1", "--contestants", "peer")
    assert {line.contestant for line in lines} == {"ours", "peer, eager"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["training-stop"], "there is no part 'training-stop' here; did you mean training-step"),
        (["training-step", "--networks", "resnet5O"], "there is no network 'resnet5O' here; did you mean resnet50"),
        (["start", "--networks", "resnet50"], "--networks has no effect on start"),
        (["start", "--rounds", "0"], "--rounds must be at least 1, not 0"),
        (["start", "--together", "1"], "--together must be at least 2, not 1"),
        (["input-pipeline", "--photographs", "/no/such.zip"], "--photographs /no/such.zip: there is no such file"),
    ],
)
def test_mistakes_are_one_sentence(arguments, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_part_without_its_data_is_skipped_with_a_sentence(tmp_path, capsys):
    assert main(["input-pipeline", "--results", str(tmp_path / "results.csv")]) == 0
    assert "input-pipeline is skipped: it needs --photographs." in capsys.readouterr().out


def test_every_row_can_be_called_and_is_named_once(tmp_path):
    options = Options(photographs=tmp_path, cifar=tmp_path)
    for name, part in PARTS.items():
        assert set(part.options) <= OPTIONS.keys()
        rows = list(part.rows(options))
        assert rows and len({(row.name, row.x) for row in rows}) == len(rows), name
        for row in rows:
            for one in row.contestants:
                inspect.signature(one.prepare).bind(**one.arguments)
            assert len({one.name for one in row.contestants}) == len(row.contestants)


def test_commands_in_the_pages_name_parts_and_options():
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "benchmarks/RESULTS.md", ROOT / "benchmarks/__init__.py"]
    found = [
        line for page in pages for line in re.findall(r"python -m benchmarks(?!\.)([^`\n]*)", page.read_text("utf-8"))
    ]
    assert len(found) > 5
    for line in found:
        given = parser_of(PARTS).parse_args(shlex.split(line))
        assert set(given.parts) <= PARTS.keys(), line


def test_help_and_list_import_no_library():
    program = """
import sys
from benchmarks.__main__ import main
main(["--list"])
try:
    main(["--help"])
except SystemExit:
    print(sorted({"keras", "tensorflow", "torch", "numpy", "matplotlib"} & set(sys.modules)))
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True)
    assert ended.stdout.splitlines()[-1] == "[]"
    assert all(f"\n{name} " in f"\n{ended.stdout}" for name in PARTS)
