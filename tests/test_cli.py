"""The command line as its users meet it."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image
from rich.console import Console

from kerascnn import InputError
from kerascnn.applications import list_models
from kerascnn.cli import _parser
from kerascnn.cli.other_programs import OPTIONS, SUBCOMMANDS
from kerascnn.console import table
from kerascnn.terminal_encoding import accept_every_character, encodes_everything
from support.forking import forking
from support.messages import names, refused


def python(*arguments):
    ended = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    return ended


def test_help_is_instant():
    times = []
    while min(times, default=1) > 0.5 and len(times) < 3:
        started = time.perf_counter()
        ended = python("-m", "kerascnn", "--help")
        times.append(time.perf_counter() - started)
    assert "example" in ended.stdout.lower()
    assert min(times) < 0.5


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("tain",), ("subcommand 'tain'", "did you mean train?")),
        (("train", "--epohcs", 3), ("'kerascnn train' has no option --epohcs", "--epochs")),
        (("train", "--epohcs=3"), ("'kerascnn train' has no option --epohcs", "--epochs")),
        (("predict", "--jsn"), ("'kerascnn predict' has no option --jsn", "--json")),
        (("--versoin",), ("'kerascnn' has no option --versoin", "--version")),
        (("train", "--epohcs=3"), ("--epohcs;", "--epochs")),
        (("train", "--precision", "float3"), ("--precision 'float3'", "float32")),
        (("completion", "fish"), ("shell 'fish'", "bash", "zsh")),
        # What is called otherwise elsewhere.
        (("val", "mine"), ("subcommand 'val'", "evaluate")),
        (("fine-tune",), ("subcommand 'fine-tune'", "train")),
        (("version",), ("subcommand 'version'", "--version")),
        (("train", "--lr", "0.1"), ("no option --lr;", "--set optimizer.learning_rate=0.1 here")),
        (("train", "--learning_rate=0.2"), ("--learning_rate;", "--set optimizer.learning_rate=0.2 here")),
        (("train", "--pretrained", "--seed", 1), ("--pretrained;", "--weights imagenet here")),
        (("train", "--patience", "--seed", 1), ("--patience;", "--early-stopping VALUE here")),
        (("train", "--num-classes", 10), ("--num-classes;", "those of the data")),
        (("predict", "--source", "cat.jpg"), ("--source;", "after the model")),
        # Of a subcommand that has no such option.
        (("models", "--amp"), ("no option --amp;", "--weights")),
        (("train", "data=photos", "imgsz=64"), ("data=photos", "--data photos")),
        (("train", "photos"), ("arguments: photos", "--data photos")),
    ],
)
def test_mistyped_words_are_answered_with_what_was_meant(command, arguments, parts):
    refused(command(*arguments), *parts)


def test_words_of_other_programs_lead_to_what_there_is():
    [subcommands] = [action.choices for action in _parser()._actions if action.dest == "subcommand"]
    assert {*SUBCOMMANDS.values()} <= {*subcommands, "--help or --version"}
    assert not {*SUBCOMMANDS} & {*subcommands}
    options = {option for parser in subcommands.values() for option in parser._option_string_actions}
    assert {meaning.split()[0] for meaning in OPTIONS.values() if meaning.startswith("--")} <= options


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_subcommands_and_options(command, shell):
    script = command("completion", shell).out
    assert all(word in script for word in ("train", "--keep-best", "predict", "--label-column"))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_output_in_any_encoding(encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    for arguments in (["models"], ["describe", "lenet…Δ"], ["models", "--json"]):
        words = [sys.executable, "-m", "kerascnn", *arguments]
        ended = subprocess.run(words, capture_output=True, env=environment, timeout=120)
        assert ended.returncode == (2 if "describe" in arguments else 0), ended.stderr
        (ended.stdout + ended.stderr).decode(encoding)
    assert json.loads(ended.stdout.decode(encoding))


def test_substitutes_are_readable(monkeypatch):
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", pipe)
    accept_every_character()
    print("Δ 3 × 4 … 猫")
    pipe.flush()
    assert pipe.buffer.getvalue() == b"diff 3 x 4 ... ?\n"
    assert not encodes_everything()


def test_every_subcommand_has_help_without_a_backend():
    # In one process: every call makes the parsers of all subcommands.
    program = """
import contextlib, io, json, os, sys
from kerascnn.cli import _parser, main
os.environ["COLUMNS"] = "80"
subcommands = next(action.choices for action in _parser()._actions if action.dest == "subcommand")
shown = {}
for subcommand in subcommands:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main([subcommand, "--help"])
    shown[subcommand] = out.getvalue()
print(json.dumps([shown, list(sys.modules)]))
"""
    shown, modules = json.loads(python("-c", program).stdout)
    assert {"models", "train", "tune", "evaluate", "export", "predict", "convert"} < set(shown) and len(shown) == 16
    assert all("examples:\n  kerascnn " in text for text in shown.values())
    assert [line for text in shown.values() for line in text.splitlines() if len(line) > 80] == []
    # A long example is still one command of a shell.
    examples = "".join(text.partition("examples:")[2] for text in shown.values()).replace("\\\n", "")
    assert all(line.startswith("  kerascnn ") for line in examples.splitlines() if line)
    heavy = {"tensorflow", "keras", "jax", "torch", "numpy", "PIL", "rich", "pydantic", "yaml", "asyncio", "wrapt"}
    assert not heavy & set(modules)


def test_importing_starts_no_backend():
    python(
        "-c",
        "import sys, kerascnn, kerascnn.applications, kerascnn.cli, kerascnn.data, kerascnn.evaluation.prediction\n"
        "kerascnn.applications.info('resnet20')\n"
        "assert not {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)\n",
    )


@pytest.mark.slow
def test_tensorflow_starts_without_unneeded_modules():
    python(
        "-c",
        "import sys\n"
        "from kerascnn.cli.loading import start_tensorflow\n"
        "start_tensorflow()\n"
        "assert {'tensorflow', 'keras'} < set(sys.modules)\n"
        "assert not {'cv2', 'matplotlib', 'pandas', 'sklearn'} & set(sys.modules)\n"
        "import matplotlib.pyplot, sklearn\n",
    )


def test_models(command):
    assert [entry["name"] for entry in json.loads(command("models", "--json").out)] == list_models()
    shown = command("models")
    assert shown.status == 0
    for name in list_models():
        assert name in shown.out


def test_a_reader_that_has_ended_is_no_mistake():
    """Such as `head`."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        words = [sys.executable, "-m", "kerascnn", "models"]
        ended = subprocess.run(words, stdout=closed, stderr=subprocess.PIPE, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_version(command):
    import kerascnn

    assert command("--version").out == f"kerascnn {kerascnn.__version__}\n"


class Trained(NamedTuple):
    run: Path
    export: Path
    ended: subprocess.CompletedProcess


@pytest.fixture(scope="module")
def trained(photographs, tmp_path_factory):
    """A short `kerascnn train` on a folder, in its own process."""
    out = tmp_path_factory.mktemp("out")
    ended = python(
        "-m", "kerascnn", "train", "--model", "resnet20", "--data", photographs, "--image-size", 32, "--epochs", 1,
        "--batch-size", 8, "--seed", 3, "--limit", 30, "--precision", "float32", "--out", out,
    )  # fmt: skip
    [run] = (out / "runs").iterdir()
    return Trained(run, out / "saved_models" / "resnet20-stripes", ended)


@pytest.mark.slow
def test_train_leaves_a_run_and_an_export(trained):
    run, export, ended = trained
    assert run.name.startswith("resnet20-stripes-")
    assert {entry.name for entry in run.iterdir()} == {
        "recipe.yaml", "history.csv", "model.keras", "checkpoints", "train", "validation", "curves.png",
        ".owner.lock", "images.csv.gz", "confusion_matrix.png", *(file.name for file in run.glob("*.tfevents.*")),
    }  # fmt: skip
    assert (export / "resnet20-stripes.tflite").is_file()
    names(ended.stderr, "3 files", "skipped", "lying/empty.jpg: 0 bytes")
    assert "epoch   1/1" in ended.stderr
    names(ended.stderr, "validation: correct for", " of 5 images", "always saying '", "60.00%")
    names(ended.stdout, "Keras", "SavedModel", "TFLite")
    # TensorFlow and LiteRT print nothing between our lines.
    assert not any(word in ended.stderr for word in ("oneDNN", "XNNPACK", "Warning"))


@pytest.mark.slow
def test_every_format_predicts_alike(trained, photographs, command):
    run, export, _ = trained
    images = [photographs / "lying" / "1.jpg", photographs / "standing" / "2.jpg"]
    answers = []
    for model in (run, run / "model.keras", export, export / "saved_model", export / "resnet20-stripes.tflite"):
        outcome = command("predict", model, *images, "--json")
        assert outcome.status == 0
        answers.append(json.loads(outcome.out))
    for answer in answers:
        assert [item["image"] for item in answer] == [str(image) for image in images]
        for item, first in zip(answer, answers[0], strict=True):
            assert [entry["label"] for entry in item["top"]] == [entry["label"] for entry in first["top"]]
            for entry, other in zip(item["top"], first["top"], strict=True):
                assert entry["probability"] == pytest.approx(other["probability"], abs=1e-4)
    assert {entry["label"] for entry in answers[0][0]["top"]} == {"lying", "standing"}
    table = command("predict", run, images[0], "--top", 1)
    assert answers[0][0]["top"][0]["label"] in table.out
    assert answers[0][0]["top"][1]["label"] not in table.out.replace(str(images[0]), "").replace("lying/", "")


@pytest.mark.slow
def test_evaluate_reads_the_data_from_the_run(trained, command):
    run, export, _ = trained
    outcome = command("evaluate", run, "--json")
    assert outcome.status == 0
    measured = json.loads(outcome.out)
    verification = json.loads((export / "verification.json").read_text())
    assert measured["images"] == verification["results"][0]["images"]
    assert measured["top1_accuracy"] == pytest.approx(verification["results"][0]["accuracy"])
    lite = export / "resnet20-stripes.tflite"
    assert command("evaluate", lite).status == 2
    again = command("evaluate", lite, "--data", measured["data"], "--limit", 30)
    assert again.status == 0
    assert f"{measured['top1_accuracy']:.2%}" in again.out


@pytest.mark.slow
def test_an_ensemble_of_every_format(trained, command):
    run, export, _ = trained
    outcome = command("evaluate", run, export / "saved_model", export / "resnet20-stripes.tflite", "--json")
    assert outcome.status == 0, outcome.err
    *alone, together = json.loads(outcome.out)["rows"]
    assert [row["formats"] for row in alone] == [["Keras"], ["SavedModel"], ["TFLite"]]
    assert together["formats"] == ["Keras", "SavedModel", "TFLite"]
    # They are the same network, so their average is too.
    assert {row["top1_accuracy"] for row in (*alone, together)} == {alone[0]["top1_accuracy"]}


@pytest.mark.slow
def test_export_again(trained, command, tmp_path):
    outcome = command("export", trained.run, "--to", tmp_path / "phone", "--json")
    assert outcome.status == 0
    assert json.loads(outcome.out)["export"] == str(tmp_path / "phone")
    assert (tmp_path / "phone" / "phone.tflite").is_file()


@pytest.mark.slow
def test_export_of_a_quantized_file_alone(trained, photographs, command, tmp_path):
    outcome = command(
        "export", trained.run, "--to", tmp_path / "phone", "--formats", "tflite", "--quantize", "float16",
        "--calibrate", photographs, "--max-mismatch-rate", 1, "--verbose",
    )  # fmt: skip
    assert outcome.status == 0
    assert {entry.name for entry in (tmp_path / "phone").iterdir()} == {
        "phone-float16.tflite", "labels.txt", "model_card.md", "verification.json",
    }  # fmt: skip
    assert re.search(r"TFLite float16 uses ADD 9, .*CONV_2D 19\b", outcome.out)
    assert re.search(r"TFLite float16: \d+ predictions differ from the float32 network \(allowed: ", outcome.out)


def test_the_command_line_knows_every_format():
    from kerascnn.cli import exporting
    from kerascnn.export import exporter, tflite

    assert (exporting.FORMATS, exporting.QUANTIZATIONS) == (exporter.FORMATS, tflite.QUANTIZATIONS)
    assert exporting.PIXEL_TYPES == tflite.PIXEL_TYPES


@pytest.mark.slow
def test_an_export_that_disagrees_fails(trained, command, tmp_path, monkeypatch):
    import kerascnn.export.verification as verification

    real = verification.evaluate

    def disturbed(predictor, *arguments, **options):
        scores = real(predictor, *arguments, **options)
        if predictor.kind == "TFLite":
            scores.probabilities[0] += 0.01
        return scores

    monkeypatch.setattr(verification, "evaluate", disturbed)
    outcome = command("export", trained.run, "--to", tmp_path / "phone")
    assert outcome.status == 1
    names(outcome.err, "TFLite", "0.01 ", "0.001", "Nothing was published")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["train", "--data", "{tmp}/missing"], ["{tmp}/missing"]),
        (["train", "--data", "{tmp}/empty"], ["{tmp}/empty", "no images"]),
        (["train", "--data", "{tmp}/one"], ["one class", "'a'"]),
        (["train", "--model", "googelnet"], ["'googelnet'", "googlenet?"]),
        (["train", "--model", "googlenet", "--image-size", "64"], ["65 x 65", "64 x 64"]),
        (["train", "--image-size", "3"], ["ResNet20", "4 x 4"]),
        (["train", "--epochs", "0"], ["--epochs", "at least 1", "'0'"]),
        (["train", "--batch-size", "x"], ["--batch-size", "whole number", "'x'"]),
        (["train", "--seed", "-1"], ["seed", "from 0"]),
        (["train", "--profile", "20:10"], ["--profile", "10:20", "'20:10'"]),
        (["train", "--limit", "100", "--profile", "99:100"], ["--profile", "99", "12"]),
        (["train", "--checkpoint-every", "often"], ["--checkpoint-every", "at least 0", "'often'"]),
        (["train", "--keep-best", "-1"], ["--keep-best", "at least 0", "'-1'"]),
        (["train", "--limit", "5"], ["--limit 5", "10 classes"]),
        (["train", "--recipe", "resnet_smal"], ["resnet_smal'", "resnet_small"]),
        (["train", "--resume", "{tmp}"], ["{tmp}", "run folder"]),
        (["train", "--out", "{tmp}/broken.keras/x"], ["{tmp}/broken.keras/x", "cannot be written"]),
        (["evaluate", "{tmp}/missing"], ["{tmp}/missing"]),
        (["evaluate", "{tmp}/broken.keras", "--data", "digits"], ["broken.keras", "Keras model"]),
        (["evaluate", "{tmp}/broken.keras"], ["broken.keras", "--data SOURCE"]),
        (["export", "{tmp}/broken.keras", "--data", "digits"], ["broken.keras", "Keras model"]),
        (["export", "{tmp}/empty", "--data", "digits"], ["no model", "{tmp}/empty"]),
        (["predict", "{tmp}/broken.keras", "{tmp}/missing.jpg"], ["{tmp}/missing.jpg"]),
        (["predict", "{tmp}/broken.keras", "{tmp}/broken.keras"], ["broken.keras", "not an image"]),
        (["predict", "{tmp}/broken.tflite", "{tmp}/one/a/1.png"], ["broken.tflite", "TFLite file"]),
        (["predict"], ["MODEL", "IMAGE"]),
        (
            ["export", "{tmp}/empty", "--quantize", "none,int4"],
            ["--quantize", "none, float16, dynamic, int8, int16x8", "int4"],
        ),
        (["export", "{tmp}/empty", "--max-mismatch-rate", "3"], ["--max-mismatch-rate", "from 0 to 1", "'3'"]),
        (["paint"], ["'paint'"]),
    ],
)
def test_a_mistake_is_one_sentence(arguments, parts, command, tmp_path, monkeypatch):
    for name in ("broken.keras", "broken.tflite"):
        (tmp_path / name).write_bytes(b"not a model")
    (tmp_path / "empty").mkdir()
    (tmp_path / "one" / "a").mkdir(parents=True)
    for number in (1, 2):
        Image.new("RGB", (8, 8 + number)).save(tmp_path / "one" / "a" / f"{number}.png")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    outcome = command(*[argument.replace("{tmp}", str(tmp_path)) for argument in arguments])
    refused(outcome, *[part.replace("{tmp}", str(tmp_path)) for part in parts])
    assert list((tmp_path / "here").iterdir()) == []


def test_a_class_count_that_does_not_fit(tiny_digits_run, photographs, command):
    outcome = command("evaluate", tiny_digits_run.folder.path, "--data", photographs)
    refused(outcome, "none of the classes", "'lying', 'standing'", "10 classes: '0', '1'")


@pytest.fixture(scope="module")
def forks():
    with forking() as forks:
        yield forks


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_training_prints_how_to_resume(how, forks, tmp_path):
    arguments = ("train", "--limit", "200", "--epochs", "4000", "--batch-size", "16", "--image-size", "16")
    out = tmp_path / "out"
    started = forks.start("support.tiny_command:run", *arguments, "--out", out, output=tmp_path / "printed.txt")
    started.wait_for(lambda: "epoch   1/4000" in started.said())
    os.kill(started.pid, how)
    assert started.wait(60) == 130
    [run] = (out / "runs").iterdir()
    printed = started.said()
    names(printed, f"Resume with: kerascnn train --resume {run}", f"{run} holds the checkpoint after ")
    assert "Traceback" not in printed
    assert max(file.name for file in (run / "checkpoints").glob("epoch-*.npz")) >= "epoch-0001"
    assert not (out / "saved_models").exists()


@pytest.mark.slow
def test_resume_finishes_what_was_stopped(tmp_path, few_digits, digits_recipe, command):
    import keras

    from kerascnn.training import TrainingInterruptedError, train
    from support.tiny_training import tiny_networks

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise KeyboardInterrupt

    with tiny_networks(), pytest.raises(TrainingInterruptedError) as stopped:
        train(digits_recipe, few_digits, runs=tmp_path / "runs", limit=200, callbacks=[Stop()])
    run = stopped.value.folder
    with tiny_networks():
        outcome = command("train", "--resume", run.path, "--json")
    # A network that has hardly learned is near many ties, which is status 1.
    assert outcome.status in (0, 1), outcome.err
    assert json.loads(outcome.out.splitlines()[-1])["run"] == str(run.path)
    assert [row["epoch"] for row in run.history()] == [0, 1, 2]
    assert (tmp_path / "saved_models" / "resnet20-digits" / "resnet20-digits.tflite").is_file()


def test_train_takes_class_weights_and_a_cache(command, monkeypatch):
    printed = command("train", "--class-weights", "balanced", "--limit", 100, "--print-recipe")
    assert "class_weights: balanced" in printed.out.splitlines()

    def train(recipe, data, *, run_config, **others):
        raise InputError(f"{recipe.class_weights} and {run_config.cache}")

    monkeypatch.setattr("kerascnn.training.train", train)
    ended = command("train", "--class-weights", "balanced", "--cache", "disk", "--limit", 100)
    refused(ended, "balanced and disk")
    assert "class weights from " in ended.err
    for option in ("--class-weights", "--cache"):
        assert command("train", option, "some").status == 2


@pytest.mark.parametrize(("width", "left"), [(100, 4), (48, 3), (36, 2), (12, 2)])
def test_narrow_tables_leave_out_columns_and_cut_no_numbers(width, left):
    shown = table("name of the row", "error", "seconds", "bytes", optional=("bytes", "seconds"))
    shown.add_row("the first one", "12.345 % (11 to 13)", "1234.5678", "123456789")
    console = Console(file=io.StringIO(), width=width)
    console.print(shown)
    printed = console.file.getvalue()
    numbers = ["12.345 % (11 to 13)", "1234.5678", "123456789"]
    if width > 30:
        assert [number in printed for number in numbers] == [True, left > 2, left > 3]
        assert "…" not in printed and max(map(len, printed.splitlines())) <= width
    assert "123456789" not in printed or left > 3
