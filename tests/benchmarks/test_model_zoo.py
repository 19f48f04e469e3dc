"""The model zoo and the README's table say what registry, analysis, public weights and measurements say."""

from dataclasses import replace

import keras
import pytest

from benchmarks import model_zoo, tflite_files
from benchmarks.machine import this_machine
from benchmarks.results import RESULTS, read
from benchmarks.tflite_files import TFLiteFile
from kerascnn.applications import registry
from kerascnn.layers import ClassLabels
from support.pages import ROOT, Page, run_line

MACHINE = ("AMD EPYC", "avx512_bf16", "1", "tensorflow 2.21.0", "0123456789")
FILE = TFLiteFile("2026-11-28T21:00:00Z", "resnet20", "int8", "400000", "2.5", "", "", *MACHINE)


@pytest.mark.slow
def test_the_table_is_what_it_is_made_of(monkeypatch):
    """Without ResNet-1202, whose analysis takes as long as the others'; tests/complexity counts it by hand."""
    others = {name: info for name, info in registry.REGISTRY.items() if name != "resnet1202"}
    monkeypatch.setattr(registry, "REGISTRY", others)
    made = model_zoo.with_measurements(model_zoo.known(), read(RESULTS), tflite_files.read())
    written = [row for row in model_zoo.read_table() if row["name"] != "resnet1202"]
    assert written == made, "run python -m benchmarks.model_zoo"


def test_the_table_has_the_latest_measurements():
    table = model_zoo.read_table()
    made = model_zoo.with_measurements(table, read(RESULTS), tflite_files.read())
    assert table == made, "run python -m benchmarks --report"


@pytest.mark.parametrize("page", ["docs/model_zoo.md", "README.md"])
def test_pages_are_cut_from_the_table(page):
    text = (ROOT / page).read_text()
    assert text == model_zoo.with_tables(text, model_zoo.read_table()), "run python -m benchmarks.model_zoo"
    for name in registry.list_models():
        assert f"`{name}`" in text


@pytest.mark.slow
def test_the_commands_of_the_page(command):
    for line in Page("docs/model_zoo.md").lines():
        assert "resnet152" in run_line(command, line).out


@pytest.fixture
def resnet20(monkeypatch):
    """The row of ResNet-20, with given measurements."""
    monkeypatch.setattr(registry, "REGISTRY", {"resnet20": registry.info("resnet20")})

    def of(results=(), files=()):
        by_name = {(one.network, one.quantization): one for one in files}
        [row] = model_zoo.with_measurements(model_zoo.known(), results, by_name)
        return row

    return of


def result(part, row, value):
    """A line of results.csv."""
    return replace(read(RESULTS)[0], part=part, row=row, x=-1.0, contestant="kerascnn", value=value, failure="")


def test_new_measurements_replace_those_of_the_table(resnet20):
    """As `python -m benchmarks` has them replaced, without an analysis."""
    [again] = model_zoo.with_measurements([resnet20(files=[FILE])], [], {})
    assert again == resnet20() and list(again) == list(resnet20())


def test_what_was_not_measured_is_empty(resnet20):
    row = resnet20()
    # The paper has 0.27 million, and an error of 8.75 %.
    assert (row["parameters"], row["top1"], row["top5"], row["weights"]) == ("269722", "91.25", "", "")
    assert not any(value for name, value in row.items() if name.startswith(("tflite", "training")))


def test_a_failed_conversion_has_no_size(resnet20):
    row = resnet20(files=[replace(FILE, size_bytes="", ms_1_thread="", failure="no ranges")])
    assert row["tflite_int8_bytes"] == row["tflite_int8_timed"] == row["tflite_int8_processor_and_date"] == ""


def test_times_of_a_quiet_machine_go_first(resnet20):
    alone = [result("tflite", "resnet20, int8, 1 thread", 2.0), result("tflite", "resnet20, int8, 2 threads", 1.5)]
    beside = resnet20(files=[FILE])
    assert (beside["tflite_int8_ms_1_thread"], beside["tflite_int8_timed"]) == ("2.5", "beside other work")
    assert beside["tflite_int8_processor_and_date"] == "1 core of AMD EPYC (avx512_bf16), 2026-11-28"
    row = resnet20(alone, [FILE])
    assert (row["tflite_int8_ms_1_thread"], row["tflite_int8_ms_2_threads"]) == ("2", "1.5")
    assert (row["tflite_int8_bytes"], row["tflite_int8_timed"]) == ("400000", "alone")
    assert row["tflite_float32_bytes"] == ""


def test_the_latest_training_counts(resnet20):
    name = "resnet20, mixed_bfloat16"
    measured = [result("training-step", name, 900.0), result("training-step", name, 1000.0)]
    other = replace(result("training-step", name, 5.0), contestant="PyTorch, eager")
    row = resnet20([*measured, other])
    assert row["training_mixed_bfloat16_images_per_second"] == "1000"
    assert row["training_float32_images_per_second"] == "" and row["training_batch"] == "128"


def test_neighbors_of_small_papers_share_a_row():
    made = model_zoo.SECTIONS["families"](model_zoo.read_table()).splitlines()
    assert made[2].startswith("| `alexnet`, `alexnetv2`, `zfnet` | Krizhevsky et al., 2012; Krizhevsky, 2014; Zeiler")
    assert "227 x 227, 224 x 224" in made[2]
    assert made[3].startswith(
        "| `vgg11`, `vgg13`, `vgg16`, `vgg16c`, `vgg19` | Simonyan and Zisserman, 2014 | 224 x 224"
    )
    assert made[3].endswith("| 133M to 144M | 7.61G to 19.6G |")


def test_only_what_is_between_markers_changes(resnet20):
    begin = model_zoo.BEGIN.format("families")
    page = f"# Mine\n\n{begin}\nold\n{model_zoo.END}\n\nStays.\n"
    made = model_zoo.with_tables(page, [resnet20()])
    assert "old" not in made and made.startswith("# Mine\n") and made.endswith("\n\nStays.\n")
    assert "| `resnet20` | He et al., 2015 | 32 x 32 | 270k | 40.6M |" in made
    assert model_zoo.with_tables(made, [resnet20()]) == made


def network(name, size):
    """A convolution with as many weights as fill kilobytes."""
    pixels = keras.Input((size, size, 3), name="pixels")
    x = keras.layers.GlobalAveragePooling2D(name="pool")(keras.layers.Conv2D(500, 3, 8, name="conv1")(pixels))
    x = keras.layers.Dense(2, activation="softmax", name="fc2")(x)
    return keras.Model(pixels, ClassLabels(["cat", "dog"], name="labels")(x), name=name)


@pytest.mark.slow
def test_files_are_written_and_measured(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tflite_files, "trained_network", network)
    monkeypatch.setattr(tflite_files, "SECONDS", 0.01)
    monkeypatch.setattr(tflite_files, "MEASURED", tmp_path / "tflite_files.csv")
    tflite_files.main(["resnet20"])
    found = tflite_files.read(tmp_path / "tflite_files.csv")
    assert list(found) == [("resnet20", "none"), ("resnet20", "int8")]
    whole, integers = found.values()
    # 27 x 500 weights, 500 biases, 2 x 500 weights: 4 bytes each, or 1, and 4 of each bias.
    assert 60_000 < int(whole.size_bytes) < 75_000 and 16_000 < int(integers.size_bytes) < 35_000
    assert all(float(one.ms_1_thread) > 0 and not one.failure for one in found.values())
    assert bool(whole.ms_2_threads) == (this_machine().cores > 1)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_an_unknown_network_is_one_sentence(capsys):
    with pytest.raises(SystemExit) as ended:
        tflite_files.main(["resnet21"])
    assert ended.value.code == 2 and "there is no network 'resnet21' here" in capsys.readouterr().err
