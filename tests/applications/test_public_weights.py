"""The list of public weights, compared with the publishers, and their download from a server on this machine."""

import dataclasses
import functools
import hashlib
import importlib
import inspect
import json
import re
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest

from kerascnn import InputError, applications
from kerascnn.applications import registry, resnet
from kerascnn.applications.preprocessing import MODES
from kerascnn.applications.weights import load as weight_files, public as public_weights, tensor_files
from kerascnn.applications.weights.public import WEIGHTS, select_weights
from kerascnn.applications.weights.sources import source_of
from kerascnn.applications.weights.torch_layouts import to_torch
from kerascnn.files.checksums import Checksum
from kerascnn.training.fine_tuning.pretrained import find_weights, with_weights
from kerascnn.training.recipe.recipe import Recipe
from support.messages import mentioning
from support.networks import without_values

KERAS = [file for file in WEIGHTS if file.name == "keras"]
TORCHVISION = [file for file in WEIGHTS if file.name == "torchvision"]
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype("float32")


def keras_module(network):
    name = {"InceptionV3": "inception_v3"}.get(network, re.sub(r"(?<=ResNet).*", "", network).lower())
    return importlib.import_module(f"keras.src.applications.{name}")


@pytest.mark.parametrize("file", KERAS, ids=lambda file: file.file)
def test_weights_of_keras(file):
    module = keras_module(file.network)
    source = re.sub(r'"\s*\n\s*"', "", inspect.getsource(module))
    folder, _, name = file.url.rpartition("/")
    if hashes := getattr(module, "WEIGHTS_HASHES", None):
        assert f"{folder}/" == module.BASE_WEIGHTS_PATH
        ending = "" if file.include_top else "_notop"
        assert name == f"{file.network.lower()}_weights_tf_dim_ordering_tf_kernels{ending}.h5"
        assert file.checksum.digits == hashes[file.network.lower()][0 if file.include_top else 1]
    else:
        assert file.url == (module.WEIGHTS_PATH if file.include_top else module.WEIGHTS_PATH_NO_TOP)
        assert re.search(rf'"{re.escape(name)}",[^)]*file_hash="{file.checksum.digits}"', source)
    assert file.checksum.algorithm == "md5"


@pytest.mark.parametrize("network", dict.fromkeys(file.network for file in KERAS))
def test_pixels_of_keras(network):
    expected = keras_module(network).preprocess_input(PIXELS.copy())
    np.testing.assert_array_equal(applications.preprocess_input(network, PIXELS, weights="keras"), expected)


def test_weights_of_torchvision():
    for file in TORCHVISION:
        digits = re.fullmatch(r"https://download\.pytorch\.org/models/[a-z0-9_-]+-([0-9a-f]{8})\.pth", file.url)[1]
        assert file.checksum == Checksum("sha256", digits)
    networks = {file.network for file in TORCHVISION}
    assert networks == {
        *("AlexNetV2", "GoogLeNet", "InceptionV3", "VGG11", "VGG13", "VGG16", "VGG19"),
        *(f"ResNet{depth}" for depth in (18, 34, 50, 101, 152)),
    }
    # The registry lists the errors.
    for network in networks:
        plain = select_weights(network, "torchvision", {})
        [accuracy] = [one for one in registry.info(network).accuracies if "torchvision" in one.source]
        assert (accuracy.top1, accuracy.top5) == (plain.top1, plain.top5)


@pytest.mark.parametrize("network", ["ResNet50", "GoogLeNet", "InceptionV3"])
def test_pixels_of_torchvision(network):
    # Its transforms.Normalize, and the transform_input of two of its networks.
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = (PIXELS / 255 - mean) / std
    if network != "ResNet50":
        expected = expected * (std / 0.5) + (mean - 0.5) / 0.5
    scaled = applications.preprocess_input(network, PIXELS, weights="torchvision")
    np.testing.assert_allclose(scaled, expected, rtol=1e-4, atol=1e-6)
    if network == "ResNet50":
        np.testing.assert_array_equal(resnet.preprocess_input(PIXELS, weights="torchvision"), scaled)


@pytest.mark.parametrize("file", WEIGHTS, ids=lambda file: file.file)
def test_every_entry(file):
    own = inspect.signature(registry.builder(file.network)).parameters
    assert all(own[argument].kind is inspect.Parameter.KEYWORD_ONLY for argument in file.arguments)
    assert file.preprocessing in MODES
    assert file.input_size == registry.info(file.network).input_size
    assert 50 < file.top1 < file.top5 < 100
    assert public_weights.find_by_file_name(file.network, file.file) is file
    documentation = " ".join(registry.builder(file.network).__doc__.split())
    # The best of timm's, or the first, stands for all.
    assert f"({file.top1:g} % top-1" in documentation or (file.on_hub and '"timm/' in documentation)


@pytest.mark.parametrize(
    ("network", "name", "given", "include_top", "file"),
    [
        ("VGG16", "imagenet", {}, True, "vgg16_weights_tf_dim_ordering_tf_kernels.h5"),
        ("VGG16", "imagenet", {}, False, "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        ("VGG16", "imagenet", {"batch_norm": True}, True, "vgg16_bn-6c64b313.pth"),
        ("VGG16", "torchvision", {}, False, "vgg16-397923af.pth"),
        ("VGG11", "imagenet", {"batch_norm": True}, True, "vgg11_bn-6002323d.pth"),
        ("ResNet50", "imagenet", {}, True, "resnet50_weights_tf_dim_ordering_tf_kernels.h5"),
        ("ResNet50", "imagenet", {"stride_in": "3x3"}, True, "resnet50-0676ba61.pth"),
        ("ResNet50", "torchvision-v2", {}, True, "resnet50-11ad3fa6.pth"),
        ("ResNet101", "torchvision-v2", {}, False, "resnet101-cd907fc2.pth"),
        ("ResNet152", "torchvision-v2", {"stride_in": "3x3"}, True, "resnet152-f82ba261.pth"),
        ("ResNet18", "timm/resnet18.a1_in1k", {}, True, "resnet18.a1_in1k.safetensors"),
        ("ResNet152", "timm/resnet152.a1h_in1k", {}, True, "resnet152.a1h_in1k.safetensors"),
        ("InceptionV3", "imagenet", {"aux_heads": True}, True, "inception_v3_google-0cc3c7bd.pth"),
        ("InceptionV3", "imagenet", {"aux_heads": False}, True, "inception_v3_weights_tf_dim_ordering_tf_kernels.h5"),
        ("GoogLeNet", "imagenet", {"aux_heads": True}, True, "googlenet-1378be20.pth"),
    ],
)
def test_which_file_a_name_stands_for(network, name, given, include_top, file):
    assert select_weights(network, name, given, include_top).file == file


@pytest.mark.parametrize(
    ("network", "arguments", "parts"),
    [
        ("ResNet20", {"weights": "imagenet"}, ("no public weights", "VGG16", "train")),
        ("VGG11", {"weights": "keras"}, ("'keras'", "'torchvision'", "'imagenet'")),
        ("VGG16", {"weights": "keras", "batch_norm": True}, ("'keras'", "batch_norm=True", "batch_norm=False")),
        (
            "ResNet50",
            {"weights": "torchvision", "stride_in": "1x1"},
            ("'torchvision'", "stride_in='1x1'", "stride_in='3x3'"),
        ),
        ("GoogLeNet", {"weights": "imagenet", "batch_norm": False}, ("batch_norm=True",)),
        ("VGG16", {"weights": "imagenet", "classes": 10}, ("1000 classes", "classes=10", "include_top")),
        ("VGG16", {"weights": "imagnet"}, ("'imagnet'", "no such file", "'imagenet'")),
        ("VGG16", {"weights": "torchvision-v2"}, ("'torchvision-v2'", "'keras', 'torchvision'")),
        ("ResNet18", {"weights": "torchvision-v2"}, ("'torchvision-v2'", "'torchvision', 'timm/resnet18.a1_in1k'")),
        ("ResNet50", {"weights": "timm/resnet18.a1_in1k"}, ("'timm/resnet18.a1_in1k'", "'timm/resnet50.a1_in1k'")),
        ("ResNet50", {"weights": "timm/resnet50.b9_in1k"}, ("'timm/resnet50.b9_in1k'", "'timm/resnet50.a1h_in1k'")),
        (
            "ResNet50",
            {"weights": "timm/resnet50.a1_in1k", "stride_in": "1x1"},
            ("'timm/resnet50.a1_in1k'", "stride_in='1x1'", "stride_in='3x3'"),
        ),
        ("ResNet50", {"weights": "torchvision-v2", "classes": 10}, ("1000 classes", "classes=10")),
    ],
)
def test_rejected(network, arguments, parts):
    with mentioning(InputError, network, *parts):
        registry.builder(network)(**arguments)


def test_weights_are_listed_and_typed():
    files = applications.list_weights("resnet-50")
    assert [(file.name, file.include_top) for file in files] == [
        ("keras", True),
        ("keras", False),
        ("torchvision", True),
        ("torchvision-v2", True),
        *((f"timm/resnet50.{recipe}_in1k", True) for recipe in ("a1", "a1h", "a2", "a3")),
    ]
    assert applications.list_weights("plain20") == []
    assert isinstance(files[0], applications.PublicWeights)
    with mentioning(InputError, "'resnet51'"):
        applications.list_weights("resnet51")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "models"


@pytest.fixture(scope="module")
def resnet18():
    keras.utils.set_random_seed(0)
    return applications.ResNet18()


@pytest.fixture(scope="module")
def tensor_file(resnet18, tmp_path_factory):
    path = tmp_path_factory.mktemp("published") / "resnet18.safetensors"
    tensor_files.write_safetensors(path, to_torch("ResNet18", resnet18.layers))
    return path


@pytest.fixture
def published(file_server, home, tensor_file, monkeypatch):
    """The server, with a network's file published on it instead of torchvision's."""
    contents = tensor_file.read_bytes()
    digits = hashlib.sha256(contents).hexdigest()[:8]
    file = f"resnet18-{digits}.safetensors"
    file_server.files[file] = contents
    entry = select_weights("ResNet18", "torchvision", {})
    entry = dataclasses.replace(entry, url=file_server.url(file), checksum=Checksum("sha256", digits))
    monkeypatch.setattr(public_weights, "WEIGHTS", (entry,))
    return file_server


def assert_same(ours, theirs):
    for layer in ours.layers:
        for one, other in zip(layer.weights, theirs.get_layer(layer.name).weights, strict=True):
            np.testing.assert_array_equal(one, other)


def test_public_weights_are_downloaded_once_and_loaded(published, home, resnet18):
    [file] = published.files
    model = applications.ResNet18(weights="imagenet")
    assert_same(model, resnet18)
    assert (home / file).is_file()
    headless = applications.ResNet18(weights="torchvision", include_top=False, pooling="avg", classes=10)
    assert_same(headless, resnet18)
    assert published.asked == [file]

    # Pixels are scaled as the weights were trained, and not as in the paper.
    torch = applications.preprocess_input("alexnetv2", PIXELS)
    for ours in (
        applications.preprocess_input(model, PIXELS),
        applications.preprocess_input("resnet18", PIXELS, weights="imagenet"),
        applications.preprocess_input(headless, PIXELS),
    ):
        np.testing.assert_array_equal(ours, torch)
    paper = applications.preprocess_input(resnet18, PIXELS)
    np.testing.assert_array_equal(paper, applications.preprocess_input("resnet18", PIXELS))
    assert np.abs(paper - torch).max() > 1

    # A damaged file is downloaded again.
    (home / file).write_bytes(b"damaged")
    assert_same(applications.ResNet18(weights="torchvision", include_top=False), resnet18)
    assert published.asked == [file, file]


def test_a_url_and_a_path(file_server, home, resnet18, tensor_file):
    file_server.files["own.safetensors"] = tensor_file.read_bytes()
    for _ in range(2):
        assert_same(applications.ResNet18(weights=file_server.url("own.safetensors"), include_top=False), resnet18)
    assert file_server.asked == ["own.safetensors"]
    assert [path.name for path in home.glob("kerascnn-*/[!.]*")] == ["own.safetensors"]
    assert_same(applications.ResNet18(weights=str(tensor_file), include_top=False), resnet18)
    with mentioning(InputError, tensor_file, "ResNet34", "has no"):
        applications.ResNet34(weights=tensor_file, include_top=False)


def test_what_is_published_with_them():
    """torchvision's own table of `IMAGENET1K_V2`, and timm's results at 224 pixels."""
    v2 = {file.network: file for file in WEIGHTS if file.name == "torchvision-v2"}
    assert {network: (file.top1, file.top5, file.checksum.digits) for network, file in v2.items()} == {
        "ResNet50": (80.858, 95.434, "11ad3fa6"),
        "ResNet101": (81.886, 95.780, "cd907fc2"),
        "ResNet152": (82.284, 96.002, "f82ba261"),
    }
    assert {round(file.input_size / file.crop_fraction) for file in v2.values()} == {232}
    timm = {file.name: file for file in WEIGHTS if file.on_hub}
    best = timm["timm/resnet50.a1_in1k"]
    assert best.url == "https://huggingface.co/timm/resnet50.a1_in1k/resolve/main/model.safetensors"
    assert (best.top1, best.crop_fraction, best.license) == (80.382, 0.95, "Apache 2.0 (timm)")
    assert "95 % of the shorter side, at 224 pixels, resampling bicubic" in best.protocol
    assert {file.network for file in timm.values()} == {f"ResNet{depth}" for depth in (18, 34, 50, 101, 152)}
    assert all(
        file.checksum is None and file.name == f"timm/{file.file.removesuffix('.safetensors')}"
        for file in timm.values()
    )
    # The publishers' other evaluations are at 256 pixels, and 342 for 299.
    others = {round(file.input_size / file.crop_fraction) for file in WEIGHTS if file.name in ("keras", "torchvision")}
    assert others == {256, 342}


def test_the_command_lists_them(command, monkeypatch):
    for width in (60, 80, 120):
        monkeypatch.setenv("COLUMNS", f"{width}")
        outcome = command("models", "--weights")
        assert outcome.status == 0 and max(map(len, outcome.out.splitlines()[:20])) <= width
        assert re.search(r"resnet152 +timm/resnet152.a1h_in1k +82.818 %", outcome.out)
    assert re.search(r"resnet50 +torchvision-v2 +80.858 % +95.434 % +224 +96.55 %", outcome.out)
    assert re.search(r"vgg16 +torchvision \(batch_norm\) +73.36 %", outcome.out)
    origins = " ".join(outcome.out.split())
    assert "of timm: license Apache 2.0 (timm); resampling bicubic; source github.com/huggingface" in origins
    assert all(file.license in origins and file.source in origins for file in WEIGHTS)
    listed = json.loads(command("models", "--weights", "--json").out)
    assert [(one["name"], one["url"]) for one in listed] == [(file.name, file.url) for file in WEIGHTS]
    assert {"license", "source", "top1", "protocol", "crop_fraction", "checksum"} < set(listed[0])


@pytest.fixture
def hub(monkeypatch, tensor_file):
    """A stand-in for huggingface_hub, which is given what to answer with."""
    module, errors = types.ModuleType("huggingface_hub"), types.ModuleType("huggingface_hub.errors")
    errors.HfHubHTTPError = type("HfHubHTTPError", (OSError,), {})
    module.errors, module.answer, module.asked = errors, str(tensor_file), []

    def hf_hub_download(repository, file):
        module.asked.append((repository, file))
        if isinstance(module.answer, Exception):
            raise module.answer
        return module.answer

    module.hf_hub_download = hf_hub_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    return module


def test_weights_of_the_hub(hub, home, resnet18, tensor_file, monkeypatch):
    name = "timm/resnet18.a1_in1k"
    model = applications.ResNet18(weights=name)
    assert_same(model, resnet18)
    assert model.preprocessing_mode == "torch"
    assert hub.asked == [(name, "model.safetensors")]
    hub.answer = FileNotFoundError("no connection.\nand more")
    with mentioning(InputError, "no connection", "resnet18.a1_in1k.safetensors", home):
        applications.ResNet18(weights=name)
    # A file that was put there by hand.
    home.mkdir(parents=True, exist_ok=True)
    (home / "resnet18.a1_in1k.safetensors").write_bytes(tensor_file.read_bytes())
    hub.asked.clear()
    assert_same(applications.ResNet18(weights=name, include_top=False), resnet18)
    assert hub.asked == []


def test_weights_of_the_hub_without_its_package(file_server, home, resnet18, tensor_file, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    file_server.files["model.safetensors"] = tensor_file.read_bytes()
    entry = select_weights("ResNet18", "timm/resnet18.a1_in1k", {})
    entry = dataclasses.replace(entry, url=file_server.url("model.safetensors"))
    monkeypatch.setattr(public_weights, "WEIGHTS", (entry,))
    for _ in range(2):
        assert_same(applications.ResNet18(weights="timm/resnet18.a1_in1k", include_top=False), resnet18)
    assert file_server.asked == ["model.safetensors"]
    assert (home / "resnet18.a1_in1k.safetensors").is_file()


def test_without_the_classifier_what_is_there_is_taken(home):
    """The smaller file, unless only the whole one has been downloaded before."""
    whole, small = "vgg16_weights_tf_dim_ordering_tf_kernels.h5", "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    chosen = functools.partial(source_of, "VGG16", "imagenet")
    home.mkdir(parents=True)
    assert (chosen(include_top=False).public.file, chosen().public.file) == (small, whole)
    (home / whole).touch()
    assert chosen(include_top=False).public.file == whole
    (home / small).touch()
    assert (chosen(include_top=False).public.file, chosen().public.file) == (small, whole)
    # A fine-tuning has a new classifier.
    recipe = Recipe.load("finetune").with_values(model="vgg16")
    assert find_weights(with_weights(recipe, "imagenet")).public.file == small
    assert find_weights(with_weights(recipe.with_values(model="resnet50"), "timm/resnet50.a1_in1k")).public.on_hub
    assert find_weights(with_weights(recipe.with_values(model="resnet50"), "torchvision-v2")).preprocessing == "torch"


def test_without_a_network(published, home):
    [file] = published.files
    published.shutdown()
    published.server_close()
    with mentioning(InputError, published.url(file), f"as {file}", home):
        applications.ResNet18(weights="imagenet", include_top=False)


@pytest.mark.parametrize(
    ("network", "arguments", "layer", "attribute", "value"),
    [
        ("ResNet50", {"weights": "torchvision"}, "conv3_1_2", "strides", (2, 2)),
        ("ResNet50", {"weights": "torchvision-v2"}, "conv3_1_2", "strides", (2, 2)),
        ("ResNet101", {"weights": "timm/resnet101.a1h_in1k"}, "conv3_1_2", "strides", (2, 2)),
        ("ResNet50", {"weights": "imagenet"}, "conv3_1_1", "strides", (2, 2)),
        ("ResNet50", {"weights": "imagenet", "stride_in": "3x3"}, "conv3_1_2", "strides", (2, 2)),
        ("ResNet50", {"weights": Path("resnet50-0676ba61.pth")}, "conv3_1_2", "strides", (2, 2)),
        ("GoogLeNet", {"weights": "imagenet"}, "inception_3a_5x5", "kernel_size", (3, 3)),
    ],
)
def test_weights_imply_arguments(network, arguments, layer, attribute, value, monkeypatch):
    monkeypatch.setattr(weight_files, "check", lambda *arguments: None)
    monkeypatch.setattr(weight_files, "load", lambda *arguments: None)
    layers = without_values(registry.builder(network), include_top=False, **arguments).layers
    [found] = [one for one in layers if one.name == layer]
    assert getattr(found, attribute) == value


def test_models_without_a_preprocessing_mode():
    model = keras.Sequential([keras.Input((5, 4, 3))], name="mine")
    with mentioning(InputError, "name=mine", "pixels", "give the name"):
        applications.preprocess_input(model, PIXELS)
    with mentioning(InputError, "weights", "'imagenet'", "'keras'", "'torchvision'"):
        applications.preprocess_input("vgg16", PIXELS, weights="vgg16.h5")


def test_a_new_head_on_published_tensors(resnet18, tensor_file):
    """Another number of classes, and gray images: the first convolution sees the three channels as one."""
    model = applications.ResNet18(classes=3, input_shape=(64, 64, 1))
    before = [np.array(weight) for weight in model.get_layer("predictions").weights]
    weight_files.load("ResNet18", model.layers, tensor_file, new=["predictions"])
    for weight, old in zip(model.get_layer("predictions").weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)
    theirs = np.asarray(resnet18.get_layer("conv1").kernel)
    np.testing.assert_allclose(model.get_layer("conv1").kernel[:, :, 0], theirs.sum(2), atol=1e-6)
    last = "conv5_2_2"
    np.testing.assert_array_equal(model.get_layer(last).kernel, resnet18.get_layer(last).kernel)


@pytest.mark.parametrize(
    ("network", "arguments"),
    [
        ("ResNet50", {"shortcut": "B", "stride_in": "3x3"}),
        ("GoogLeNet", {}),
        # torchvision has it with and without batch normalization.
        ("VGG11", {}),
        ("ZFNet", {}),
    ],
)
def test_own_tensors_are_of_torchvisions_network(network, arguments):
    assert source_of(network, "mine.safetensors").arguments == arguments
    assert source_of(network, "mine.safetensors").builder == {"GoogLeNet": "GoogLeNetTorchvision"}.get(network, network)
    assert source_of(network, "mine.weights.h5").arguments == {}
