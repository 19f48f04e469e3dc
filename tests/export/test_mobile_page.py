"""docs/mobile.md: its commands and Python run as printed, its Kotlin and Swift are compared with exported files."""

import ast
import re
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from kerascnn.evaluation import open_predictor
from kerascnn.export.tflite import QUANTIZATIONS
from support.pages import Page, run_line

PAGE = Page("docs/mobile.md")


@pytest.fixture(scope="module")
def folder(tiny_digits_run, few_digits, tmp_path_factory):
    """The working directory of the page's first command, with its run and some photos."""
    folder = tmp_path_factory.mktemp("mobile")
    shutil.copytree(tiny_digits_run.folder.path, folder / "runs" / "resnet20-digits-1")
    (folder / "photos").mkdir()
    for number in range(3):
        Image.fromarray(few_digits.validation.images[number]).save(folder / "photos" / f"{number}.png")
    return folder


def files_of(folder):
    return {path.stem.removeprefix("digits").removeprefix("-") or "none": path for path in folder.glob("*.tflite")}


def run(line, folder, command):
    if line.startswith("unzip -p "):
        file, name = line.split()[2:]
        return zipfile.ZipFile(folder / file).read(name).decode()
    # The model was trained for a short time only, so it has many near ties.
    return run_line(command, line, *(["--max-mismatch-rate", 0.5] if "export" in line.split() else [])).out


@pytest.mark.slow
def test_commands_and_python(folder, few_digits, command, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    exported, labels, metadata, predicted = [run(line, folder, command) for line in PAGE.lines()]
    assert set(files_of(folder / "saved_models" / "digits")) == {"int8", "float16"}
    assert "exported to saved_models/digits" in exported
    assert "Author: Ada." in (folder / "saved_models" / "digits" / "model_card.md").read_text()
    assert labels.splitlines() == [str(number) for number in range(10)]
    assert '"image_size": 32, "crop_fraction": 1.0' in metadata
    PAGE.run({"square": few_digits.validation.images[0]})
    # By the page's own Python, and by `predict`.
    best = capsys.readouterr().out.split()[0]
    assert predicted.splitlines()[1].split(",")[:3] == ["photos/0.png", "1", best]


def test_table_of_inputs_and_outputs(digits_files):
    from ai_edge_litert.interpreter import Interpreter

    rows = re.findall(r"\| NAME-?(\w*)\.tflite \| (\w+) \((.*?)\) \| (\w+) \((.*?)\) \|", PAGE.text)
    assert {quantization or "none" for quantization, *_ in rows} == set(QUANTIZATIONS)
    [head] = re.findall(r"\| file \| input `(\w+)` \| output `(\w+)` \|", PAGE.text)
    for quantization, *tensors in rows:
        interpreter = Interpreter(str(digits_files / f"{quantization or 'none'}.tflite"))
        [signature] = interpreter.get_signature_list().values()
        assert ([head[0]], [head[1]]) == (signature["inputs"], signature["outputs"])
        for number, details in enumerate((interpreter.get_input_details(), interpreter.get_output_details())):
            [tensor] = details
            sides = {"size": 32, "classes": 10}
            shape = [sides.get(side) or int(side) for side in tensors[2 * number + 1].split(", ")]
            assert (np.dtype(tensor["dtype"]).name, tensor["shape"].tolist()) == (tensors[2 * number], shape)


def product(expression, **values):
    """The value of a product of names and numbers, written the same way in Kotlin, Swift and Python."""
    assert all(isinstance(node, ast.BinOp | ast.Mult | ast.Name | ast.Constant | ast.Expression | ast.Load)
               for node in ast.walk(ast.parse(expression, mode="eval")))  # fmt: skip
    return eval(expression, {"__builtins__": {}}, values)


def test_kotlin_and_swift_fit_the_file(digits_files):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(digits_files / "int8.tflite"))
    [pixels], [probabilities] = interpreter.get_input_details(), interpreter.get_output_details()
    kotlin, swift = "\n".join(PAGE.blocks("kotlin")), "\n".join(PAGE.blocks("swift"))
    side = 32
    taken = int(np.prod(pixels["shape"])) * np.dtype(pixels["dtype"]).itemsize
    # The side is read from the tensor, at the same place in both languages.
    for place in (r"getInputTensor\(0\)\.shape\(\)\[(\d)\]", r"input\(at: 0\)\.shape\.dimensions\[(\d)\]"):
        [index] = re.findall(place, kotlin + swift)
        assert pixels["shape"][int(index)] == side
    # As many bytes as the input has, and as many floats as the output.
    [size] = re.findall(r"allocateDirect\((.*)\)", kotlin)
    assert product(size, size=side) == taken
    [size] = re.findall(r"Data\(capacity: (.*)\)", swift)
    assert product(size, size=side) == taken
    [count] = re.findall(r"Array\((\d+)\) \{ FloatArray\(labels\.size\) \}", kotlin)
    assert [int(count), 10] == probabilities["shape"].tolist()
    assert probabilities["dtype"] == np.float32 and "bindMemory(to: Float32.self)" in swift
    # Red, green, blue of Android's 0xAARRGGBB, and three bytes of every four from the first on.
    shifts = [int(shift) for shift in re.findall(r"color shr (\d+)", kotlin)]
    assert [(0x00112233 >> shift) & 255 for shift in shifts] == [0x11, 0x22, 0x33]
    assert "rgba[start ..< start + 3]" in swift
    # The numbers in the calls are those of the example's file.
    metadata = open_predictor(digits_files / "int8.tflite").metadata
    assert re.findall(r"size = (\d+), cropFraction = ([\d.]+)f", kotlin) == [(str(metadata.image_size), "1.0")]
    assert metadata.crop_fraction == 1.0
    assert {*re.findall(r"digits-\w+", kotlin + swift)} == {"digits-int8"}
