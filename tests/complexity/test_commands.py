"""`kerascnn describe` and `kerascnn compare` from the command line."""

import json
import re
import subprocess
import sys

import pytest

from kerascnn.applications import create
from kerascnn.complexity import analysis
from kerascnn.complexity.diagram import discs_of
from kerascnn.complexity.tables import short
from support.messages import names
from support.networks import report_of


@pytest.fixture(autouse=True)
def analyzed_once(monkeypatch):
    """The commands use reports that other tests have computed already."""
    monkeypatch.setattr(analysis, "analyze_by_name", report_of)


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    create("resnet20", classes=3).save(folder / "model.keras")
    return folder / "model.keras"


@pytest.fixture
def columns(monkeypatch):
    return lambda width: monkeypatch.setenv("COLUMNS", str(width))


@pytest.mark.parametrize("subcommand", ["describe", "compare"])
def test_help_has_examples(subcommand, command):
    shown = command(subcommand, "--help")
    assert shown.status == 0
    assert f"kerascnn {subcommand} " in shown.out.partition("examples:")[2]


@pytest.mark.parametrize("width", [80, 120])
def test_describe_fits_the_terminal(width, columns, command):
    columns(width)
    shown = command("describe", "vgg16")
    assert shown.status == 0 and shown.err == ""
    assert max(map(len, shown.out.splitlines())) <= width
    rows = {line.split()[0]: line.split() for line in shown.out.splitlines() if line.strip()}
    for name in (row.name for row in report_of("vgg16").rows):
        assert name in rows
    assert ("Conv2D" in shown.out) == (width == 120)
    assert "138,357,544 parameters" in shown.out and "15,470,264,320" in shown.out
    assert re.search(r"pool5 .* 7x7x512 .* 212 +32 +16", shown.out)
    assert re.search(r"fc6 +4096 +103M +74.3 +103M +0.7", shown.out)
    assert re.search(r"vgg16 +MACs +15.3G +15.47G +\+1.1%", shown.out)
    assert re.search("vgg16 MACs: 15.3 .*convolutions", shown.out)


def test_describe_as_json_and_markdown(command):
    described = json.loads(command("describe", "GoogLeNet", "--json").out)
    assert described["totals"]["parameters"] == 6_998_552
    assert [layer["name"] for layer in described["layers"]][:2] == ["pixels", "conv1"]
    conv1 = next(one for one in described["published"] if one["subject"] == "googlenet conv1")
    assert conv1["published"] == pytest.approx(2.7 * 1024) and not conv1["agrees"] and "7 x 7" in conv1["reason"]
    markdown = command("describe", "googlenet", "--markdown").out
    assert "| googlenet conv1 | MACs | 34M | 118.0M | +247.1% |" in markdown
    assert re.search("- googlenet MACs: 1.5 .*table 1", markdown)


def test_describe_another_size(command):
    described = json.loads(command("describe", "resnet20", "--image-size", 16, "--classes", 3, "--json").out)
    assert described["layers"][0]["output_shape"] == [16, 16, 3]
    assert described["layers"][-1]["output_shape"] == [3]
    # The published numbers are for 32 pixels and 10 classes.
    assert described["published"] == []


def test_describe_a_file_and_a_run_folder(model_file, command):
    of_file, of_folder = (
        json.loads(command("describe", path, "--json").out) for path in (model_file, model_file.parent)
    )
    assert of_file == of_folder
    assert of_file["totals"]["trainable"] == report_of("resnet20", classes=3).totals.trainable
    shown = command("describe", model_file)
    assert shown.status == 0 and "published" not in shown.out


@pytest.mark.parametrize("width", [80, 120])
def test_compare(width, columns, command):
    columns(width)
    shown = command("compare", "alexnet", "googlenet", "ResNet-34", "googlenet")
    assert shown.status == 0
    assert max(map(len, shown.out.splitlines())) <= width
    assert len(re.findall(r"^ googlenet ", shown.out, re.MULTILINE)) == 1
    assert re.search(r"resnet34 +21.8M +3.66G +3.6G +27.4M +35.6M +75.48 +92.54", shown.out)
    assert re.search(r"71.00 +90.80 +ImageNet, 1 crop", shown.out)
    for reason in ("resnet34 MACs: 3.6 ", "shortcuts A", "torchvision's GoogLeNet"):
        assert reason in shown.out


def test_compare_as_json(command):
    resnet20, plain20 = json.loads(command("compare", "resnet20", "plain20", "--json").out)
    assert resnet20["name"] == "resnet20" and resnet20["trainable"] == 269_722
    assert resnet20["accuracies"] == [{"top1": 91.25, "top5": None, "protocol": "", "source": "paper"}]
    assert [number["agrees"] for number in resnet20["published"]] == [True]
    assert plain20["macs"] == resnet20["macs"] and plain20["published"] == plain20["accuracies"] == []


@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")])
def test_plot(ending, begins, command, tmp_path):
    file = tmp_path / f"accuracy.{ending}"
    shown = command("compare", "resnet18", "resnet34", "zfnet", "--plot", file)
    assert shown.status == 0
    assert file.read_bytes().startswith(begins)
    assert re.search("top-1 accuracy.*zfnet", shown.err)
    assert re.search("resnet18, 10 crops.*shortcuts A", shown.err)
    assert str(file) in shown.err


def test_the_plot_shows_names_and_protocols(command, tmp_path):
    file = tmp_path / "accuracy.svg"
    command("compare", "resnet18", "resnet34", "googlenet", "alexnetv2", "--plot", file)
    # matplotlib writes every text next to its outlines.
    words = re.findall(r"<!-- (.*?) -->", file.read_text())
    for name in ("resnet18", "resnet34", "googlenet", "alexnetv2"):
        assert words.count(name) == 1
    for series in ("1 crop, torchvision's public weights", "1 crop, in the papers", "10 crops, in the papers"):
        assert series in words


def test_discs_take_the_first_accuracy_of_each_protocol():
    discs = discs_of({name: report_of(name) for name in ("resnet34", "googlenet")})
    found = {(disc.name, disc.series): disc.accuracy for disc in discs}
    assert found == pytest.approx(
        {
            ("resnet34", "10 crops, in the papers"): 75.48,
            ("resnet34", "1 crop, torchvision's public weights"): 73.314,
            ("googlenet", "1 crop, in the papers"): 71.0,
            ("googlenet", "1 crop, torchvision's public weights"): 69.778,
        }
    )
    resnet34, googlenet = discs[0], discs[-1]
    # Areas are proportional to the parameters.
    assert (resnet34.radius / googlenet.radius) ** 2 == pytest.approx(21_797_672 / 6_998_552)
    assert resnet34.operations == pytest.approx(3.663761408)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["describe", "resnet5O"], ("'resnet5O'", "did you mean")),
        (["describe", "{tmp}/none.keras"], ("no model", "{tmp}/none.keras", "name")),
        (["describe", "{tmp}/broken.keras"], ("broken.keras", "Keras model")),
        (["describe", "{tmp}/broken.tflite"], ("broken.tflite", ".keras file")),
        (["describe", "{tmp}"], ("no model", "{tmp}")),
        (["describe", "{tmp}/broken.keras", "--classes", "3"], ("--classes", "name")),
        (["describe", "resnet20", "--image-size", "3"], ("at least 4 x 4", "3 x 3")),
        (["describe", "resnet20", "--image-size", "0"], ("--image-size", "at least 1", "'0'")),
        (["describe", "resnet20", "--json", "--markdown"], ("--json", "--markdown")),
        (["describe"], ("required", "NAME|FILE")),
        (["compare"], ("required", "NAME")),
        (["compare", "resnet20", "lenet"], ("'lenet'",)),
        (["compare", "resnet18", "--plot", "{tmp}/a.bmp"], (".png", ".svg", ".pdf", "'a.bmp'")),
        (["compare", "resnet18", "--plot", "{tmp}/no/a.png"], ("no folder", "{tmp}/no ")),
        (["compare", "resnet18", "--plot", "{tmp}/folder.png"], ("folder.png", "written")),
        (["compare", "resnet18", "resnet20", "--plot", "{tmp}/a.png"], ("resnet18 on ImageNet", "resnet20 on CIFAR")),
        (["compare", "zfnet", "--plot", "{tmp}/a.png"], ("top-1 accuracy", "zfnet")),
    ],
)
def test_an_error_is_one_sentence(arguments, parts, command, tmp_path):
    for name in ("broken.keras", "broken.tflite"):
        (tmp_path / name).write_bytes(b"not a model")
    (tmp_path / "folder.png").mkdir()
    outcome = command(*[argument.replace("{tmp}", str(tmp_path)) for argument in arguments])
    assert outcome.status == 2
    last = outcome.err.strip().splitlines()[-1]
    assert last.startswith("kerascnn: ")
    names(last, *(part.replace("{tmp}", str(tmp_path)) for part in parts))
    assert not (tmp_path / "a.png").exists()


def test_importing_starts_no_backend():
    program = (
        "import sys, kerascnn.complexity, kerascnn.complexity.published, kerascnn.complexity.diagram\n"
        "assert kerascnn.complexity.Report\n"
        "assert not {'tensorflow', 'keras', 'matplotlib', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "–"), (7, "7"), (999, "999"), (9_472, "9.47k"), (12_352, "12.4k"), (102_764_544, "103M"),
        (999_499, "999k"), (999_500, "1.00M"), (9_999, "10.0k"), (15_470_264_320, "15.5G"),
    ],
)  # fmt: skip
def test_numbers_in_three_digits(number, text):
    assert short(number) == text
