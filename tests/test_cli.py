"""The command line as its users meet it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from kerascnn import InputError
from kerascnn.applications import list_models


def process(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "kerascnn", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize(
    "verb",
    [
        [],
        ["models"],
        ["recipes"],
        ["describe"],
        ["compare"],
        ["ingest"],
        ["train"],
        ["evaluate"],
        ["compare-runs"],
        ["export"],
        ["predict"],
        ["explain"],
        ["embed"],
        ["experiment"],
        ["convert"],
    ],
)
def test_help_is_instant(verb):
    times = []
    for _ in range(3):
        started = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, "-m", "kerascnn", *verb, "--help"], capture_output=True, text=True, check=True
        )
        times.append(time.perf_counter() - started)
        if times[-1] < 0.5:
            break
    assert "example" in ended.stdout.lower()
    assert min(times) < 0.5


def test_importing_starts_no_backend():
    program = (
        "import sys, kerascnn, kerascnn.applications, kerascnn.cli, kerascnn.data, kerascnn.evaluation.naming\n"
        "kerascnn.applications.info('resnet20')\n"
        "assert not {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_tensorflow_starts_without_what_no_verb_needs():
    program = (
        "import sys\n"
        "from kerascnn.cli.loading import start_tensorflow\n"
        "start_tensorflow()\n"
        "assert {'tensorflow', 'keras'} < set(sys.modules)\n"
        "assert not {'sklearn', 'matplotlib.pyplot'} & set(sys.modules)\n"
        "import matplotlib.pyplot, sklearn\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_models(command):
    assert [entry["name"] for entry in json.loads(command("models", "--json").out)] == list_models()
    shown = command("models")
    assert shown.status == 0
    for name in list_models():
        assert name in shown.out


def test_version(command):
    import kerascnn

    assert command("--version").out == f"kerascnn {kerascnn.__version__}\n"


@pytest.fixture(scope="module")
def trained(photographs, tmp_path_factory):
    """`kerascnn train` on a folder, for a moment, in a process of its own."""
    out = tmp_path_factory.mktemp("out")
    started = process(
        "train", "--model", "googlenet", "--data", photographs, "--image-size", 72, "--epochs", 1,
        "--batch-size", 8, "--seed", 3, "--limit", 30, "--precision", "float32", "--out", out,
    )  # fmt: skip
    stdout, stderr = started.communicate(timeout=300)
    assert started.returncode == 0, stderr
    return out, stdout, stderr


def test_train_leaves_a_run_and_an_export(trained):
    out, stdout, stderr = trained
    [run] = (out / "runs").iterdir()
    assert run.name.startswith("googlenet-stripes-")
    assert {entry.name for entry in run.iterdir()} == {
        "recipe.yaml", "history.csv", "model.keras", "checkpoints", "tensorboard", "curves.png", "confusion_matrix.png",
    }  # fmt: skip
    assert (out / "saved_models" / "googlenet-stripes" / "googlenet-stripes.tflite").is_file()
    assert "3 files cannot be read as images and are set aside" in stderr
    assert "lying/empty.jpg: 0 bytes" in stderr
    assert "epoch   1/1" in stderr
    for form in ("Keras", "SavedModel", "TFLite"):
        assert form in stdout
    # Neither TensorFlow nor LiteRT chatters between our lines.
    assert "oneDNN" not in stderr and "XNNPACK" not in stderr and "Warning" not in stderr


def test_every_form_predicts_alike(trained, photographs, command):
    out, _, _ = trained
    [run] = (out / "runs").iterdir()
    export = out / "saved_models" / "googlenet-stripes"
    images = [photographs / "lying" / "1.jpg", photographs / "standing" / "2.jpg"]
    answers = []
    for model in (run, run / "model.keras", export, export / "saved_model", export / "googlenet-stripes.tflite"):
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


def test_evaluate_reads_the_data_from_the_run(trained, command):
    out, _, _ = trained
    [run] = (out / "runs").iterdir()
    outcome = command("evaluate", run, "--json")
    assert outcome.status == 0
    measured = json.loads(outcome.out)
    verification = json.loads((out / "saved_models" / "googlenet-stripes" / "verification.json").read_text())
    assert measured["pictures"] == verification["rows"][0]["pictures"]
    assert measured["top1_error"] == pytest.approx(1 - verification["rows"][0]["accuracy"])
    lite = out / "saved_models" / "googlenet-stripes" / "googlenet-stripes.tflite"
    assert command("evaluate", lite).status == 2
    again = command("evaluate", lite, "--data", measured["data"], "--limit", 30)
    assert again.status == 0
    assert f"{measured['top1_error']:.2%}" in again.out


def test_an_ensemble_of_every_form(trained, command):
    out, _, _ = trained
    [run] = (out / "runs").iterdir()
    export = out / "saved_models" / "googlenet-stripes"
    outcome = command("evaluate", run, export / "saved_model", export / "googlenet-stripes.tflite", "--json")
    assert outcome.status == 0, outcome.err
    *alone, together = json.loads(outcome.out)["rows"]
    assert [row["forms"] for row in alone] == [["Keras"], ["SavedModel"], ["TFLite"]]
    assert together["forms"] == ["Keras", "SavedModel", "TFLite"]
    # They are the same network, so their average is too.
    assert {row["top1_error"] for row in (*alone, together)} == {alone[0]["top1_error"]}


@pytest.mark.slow
def test_export_again(trained, command, tmp_path):
    out, _, _ = trained
    [run] = (out / "runs").iterdir()
    outcome = command("export", run, "--to", tmp_path / "phone", "--json")
    assert outcome.status == 0
    assert json.loads(outcome.out)["export"] == str(tmp_path / "phone")
    assert (tmp_path / "phone" / "phone.tflite").is_file()


def test_export_of_a_quantized_file_alone(trained, photographs, command, tmp_path):
    out, _, _ = trained
    [run] = (out / "runs").iterdir()
    outcome = command(
        "export", run, "--to", tmp_path / "phone", "--formats", "tflite", "--quantize", "float16",
        "--calibrate", photographs, "--tolerance", 1,
    )  # fmt: skip
    assert outcome.status == 0
    assert {entry.name for entry in (tmp_path / "phone").iterdir()} == {
        "phone-float16.tflite", "labels.txt", "model_card.md", "verification.json",
    }  # fmt: skip
    assert "TFLite float16 uses ADD 10, CAST 1, CONCATENATION 9, CONV_2D 57" in outcome.out
    assert "predictions that TFLite float16 changes: " in outcome.out


def test_the_command_line_knows_every_form():
    from kerascnn.cli import exporting
    from kerascnn.export import exporter, tflite

    assert (exporting.FORMATS, exporting.QUANTIZATIONS) == (exporter.FORMATS, tflite.QUANTIZATIONS)
    assert exporting.PIXEL_TYPES == tflite.PIXEL_TYPES


@pytest.mark.slow
def test_an_export_that_disagrees_fails(trained, command, tmp_path, monkeypatch):
    import kerascnn.export.verification as verification

    out, _, _ = trained
    [run] = (out / "runs").iterdir()
    real = verification.evaluate

    def disturbed(predictor, *arguments, **options):
        scores = real(predictor, *arguments, **options)
        if predictor.kind == "TFLite":
            scores.probabilities[0] += 0.01
        return scores

    monkeypatch.setattr(verification, "evaluate", disturbed)
    outcome = command("export", run, "--to", tmp_path / "phone")
    assert outcome.status == 1
    assert "the TFLite's probabilities are up to 0.01 from the model's, more than 0.001" in outcome.err
    assert "Nothing was published" in outcome.err
    assert list(tmp_path.iterdir()) == []


def png():
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "--data", "{tmp}/missing"], "there is no data at {tmp}/missing"),
        (["train", "--data", "{tmp}/empty"], "{tmp}/empty has no pictures"),
        (["train", "--data", "{tmp}/one"], "has one class only ('a')"),
        (["train", "--model", "googelnet"], "there is no model 'googelnet'; did you mean googlenet?"),
        (["train", "--model", "googlenet", "--image-size", "64"], "at least 65 x 65 pixels, not 64 x 64"),
        (["train", "--image-size", "3"], "ResNet20 needs images of at least 4 x 4 pixels"),
        (["train", "--epochs", "0"], "must be a whole number of at least 1, not '0'"),
        (["train", "--batch-size", "x"], "must be a whole number of at least 1, not 'x'"),
        (["train", "--seed", "-1"], "seed must be from 0"),
        (["train", "--profile", "20:10"], "must be the first and the last step, as 10:20, not '20:10'"),
        (["train", "--limit", "100", "--profile", "99:100"], "--profile begins with step 99, and the training has 12."),
        (["train", "--checkpoint-every", "often"], "must be a number of at least 0, not 'often'"),
        (["train", "--keep-best", "-1"], "must be a whole number of at least 0, not '-1'"),
        (["train", "--limit", "5"], "--limit 5 is too small for 10 classes"),
        (["train", "--recipe", "resnet_smal"], "did you mean resnet_small"),
        (["train", "--resume", "{tmp}"], "is not a run folder"),
        (["train", "--out", "{tmp}/broken.keras/x"], "cannot be written"),
        (["evaluate", "{tmp}/missing"], "there is no model at {tmp}/missing"),
        (["evaluate", "{tmp}/broken.keras", "--data", "digits"], "broken.keras is not a Keras model"),
        (["evaluate", "{tmp}/broken.keras"], "say --data SOURCE"),
        (["export", "{tmp}/broken.keras", "--data", "digits"], "broken.keras is not a Keras model"),
        (["export", "{tmp}/empty", "--data", "digits"], "there is no model at {tmp}/empty"),
        (["predict", "{tmp}/broken.keras", "{tmp}/missing.jpg"], "there is no file {tmp}/missing.jpg"),
        (["predict", "{tmp}/broken.keras", "{tmp}/broken.keras"], "broken.keras cannot be read: not an image"),
        (["predict", "{tmp}/broken.tflite", "{tmp}/one/a/1.png"], "broken.tflite is not a TFLite file"),
        (["predict"], "the following arguments are required: MODEL, IMAGE"),
        (
            ["export", "{tmp}/empty", "--quantize", "none,int4"],
            "takes some of none, float16, dynamic, int8, int16x8, not",
        ),
        (["export", "{tmp}/empty", "--tolerance", "3"], "must be a number from 0 to 1, not '3'"),
        (["paint"], "invalid choice: 'paint'"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, sentence, command, tmp_path, monkeypatch):
    for name in ("broken.keras", "broken.tflite"):
        (tmp_path / name).write_bytes(b"not a model")
    (tmp_path / "empty").mkdir()
    (tmp_path / "one" / "a").mkdir(parents=True)
    (tmp_path / "one" / "a" / "1.png").write_bytes(png())
    (tmp_path / "one" / "a" / "2.png").write_bytes(png() + b"2")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    outcome = command(*[argument.replace("{tmp}", str(tmp_path)) for argument in arguments])
    assert outcome.status == 2
    last = outcome.err.strip().splitlines()[-1]
    assert last.startswith("kerascnn: ")
    assert sentence.replace("{tmp}", str(tmp_path)) in last
    assert "Traceback" not in outcome.err
    assert list((tmp_path / "here").iterdir()) == []


def test_a_class_count_that_does_not_fit(digits_run, photographs, command):
    outcome = command("evaluate", digits_run.folder.path, "--data", photographs)
    assert outcome.status == 2
    assert "the model has 10 classes, and 'lying' of" in outcome.err


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stopped_training_says_how_to_go_on(how, tmp_path, command):
    # A shell starts background jobs, and so this process perhaps, with Ctrl-C ignored.
    started = process(
        "train", "--limit", 200, "--epochs", 40, "--batch-size", 16, "--out", tmp_path,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    for line in started.stderr:
        if line.startswith("epoch   1/40"):
            break
    time.sleep(0.3)
    os.kill(started.pid, how)
    _, stderr = started.communicate(timeout=60)
    assert started.returncode == 130
    [run] = (tmp_path / "runs").iterdir()
    assert f"Go on with: kerascnn train --resume {run}" in stderr
    assert "Traceback" not in stderr
    states = sorted(file.name for file in (run / "checkpoints").glob("epoch-*.npz"))
    assert states[-1] >= "epoch-0001"
    assert f"{run} keeps the state after " in stderr
    assert not (tmp_path / "saved_models").exists()


@pytest.mark.slow
def test_resume_finishes_what_was_stopped(tmp_path, few_digits, digits_recipe, command):
    import keras

    from kerascnn.training import Interrupted, train

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        train(digits_recipe, few_digits, runs=tmp_path / "runs", limit=200, callbacks=[Stop()])
    run = stopped.value.folder
    outcome = command("train", "--resume", run.path, "--json")
    assert outcome.status == 0, outcome.err
    assert json.loads(outcome.out.splitlines()[-1])["run"] == str(run.path)
    assert [row["epoch"] for row in run.history()] == [0, 1, 2]
    assert (tmp_path / "saved_models" / "resnet20-digits" / "resnet20-digits.tflite").is_file()


def test_train_takes_class_weights_and_a_cache(command, monkeypatch):
    printed = command("train", "--class-weights", "balanced", "--limit", 100, "--print-recipe")
    assert "class_weights: balanced" in printed.out.splitlines()

    def train(recipe, data, *, conduct, **others):
        raise InputError(f"{recipe.class_weights} and {conduct.cache}")

    monkeypatch.setattr("kerascnn.training.train", train)
    ended = command("train", "--class-weights", "balanced", "--cache", "disk", "--limit", 100)
    assert ended.status == 2 and "kerascnn: balanced and disk" in ended.err
    assert "class weights from " in ended.err
    for option in ("--class-weights", "--cache"):
        assert command("train", option, "some").status == 2
