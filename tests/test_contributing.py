"""The worked examples of CONTRIBUTING.md: a network, a recipe, a layer, an export form."""

import re
import sys
import types

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import registry
from kerascnn.complexity import analyze, analyze_by_name, layer_costs
from kerascnn.export.keras_file import stock_model
from kerascnn.training import Recipe
from support.messages import mentioning
from support.networks import without_values
from support.pages import ROOT, Page

PAGE = Page("CONTRIBUTING.md")


def block(language, text):
    """The one block that has a text, without the indentation of a list."""
    [found] = [block for block in PAGE.blocks(language) if text in block]
    return found


@pytest.fixture
def tinynet(monkeypatch, tmp_path):
    """The network, as if its module and its entry were there."""
    networks = (ROOT / "kerascnn" / "applications" / "networks.yaml").read_text(encoding="utf-8")
    (tmp_path / "networks.yaml").write_text(networks + "\n" + block("yaml", "builder: TinyNet"), encoding="utf-8")
    with monkeypatch.context() as patched:
        patched.setattr(registry, "__file__", str(tmp_path / "registry.py"))
        entry = registry._read()["tinynet"]
    monkeypatch.setitem(registry.REGISTRY, "tinynet", entry)
    module = types.ModuleType("kerascnn.applications.tinynet")
    exec(block("python", "def TinyNet"), vars(module))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_a_network(tinynet):
    model = without_values(registry.create, "tinynet", classes=3)
    assert model.output_shape == (None, 3)
    assert next(layer.name for layer in model.layers if "conv" in layer.name) == "conv1"
    assert model.get_layer("conv1_relu").output.shape == (None, 16, 16, 16)
    assert registry.info("TinyNet").year == 2026 and registry.info("TinyNet").accuracies[0].top1 == 75
    by_hand = (3 * 3 * 3 + 1) * 16 + (3 * 3 * 16 + 1) * 32 + (32 + 1) * 10
    assert f"{by_hand:,} parameters" in PAGE.text.replace("\n   ", " ")
    assert analyze_by_name("tinynet").totals.parameters == by_hand
    assert tinynet.preprocess_input(np.zeros((1, 32, 32, 3))).shape == (1, 32, 32, 3)


def test_a_recipe(tinynet, tmp_path):
    (tmp_path / "tinynet_small.yaml").write_text(block("yaml", "base: resnet_small"), encoding="utf-8")
    recipe, base = Recipe.load(tmp_path / "tinynet_small.yaml"), Recipe.load("resnet_small")
    assert recipe.model == registry.info("tinynet").builder.lower() == recipe.about.networks[0]
    assert (recipe.optimizer.learning_rate, recipe.optimizer.clip_norm) == (0.02, 5.0)
    assert recipe.optimizer.momentum == base.optimizer.momentum and recipe.schedule == base.schedule


def test_a_layer(monkeypatch, tmp_path):
    names = {"__name__": "channel_scale"}
    exec(block("python", "class ChannelScale"), names)
    scale = names["ChannelScale"]
    pixels = keras.Input((4, 4, 3))
    model = keras.Model(pixels, scale(0.5, name="scale1")(keras.layers.Conv2D(2, 1, name="conv1")(pixels)))
    images = np.random.default_rng(0).normal(size=(1, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(model(images), 0.5 * model.get_layer("conv1")(images), rtol=1e-6)
    model.save(tmp_path / "scaled.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "scaled.keras")(images), model(images))
    with mentioning(InputError, "ChannelScale"):
        analyze(model)
    [line] = re.findall(r"`layers\.ChannelScale: (LayerCost\(.*?\)),`", PAGE.text)
    monkeypatch.setitem(layer_costs.COSTS, scale, eval(line, vars(layer_costs)))
    # A convolution's weights and bias, and a factor for each of two channels.
    assert analyze(model).totals.parameters == 3 * 2 + 2 + 2
    # Keras lacks it, until something takes its place.
    with mentioning(InputError, "lacks", "ChannelScale"):
        stock_model(model)
    monkeypatch.delitem(keras.saving.get_custom_objects(), "kerascnn>ChannelScale")


def test_an_export_form():
    """Every line of the example is in the file that it names."""
    parts = re.split(r"^# (kerascnn/\S+\.py): .*$", block("python", "class OnnxPredictor"), flags=re.MULTILINE)[1:]
    assert len(parts) == 6
    for file, lines in zip(parts[::2], parts[1::2], strict=True):
        text = (ROOT / file).read_text(encoding="utf-8")
        for line in filter(None, map(str.strip, lines.splitlines())):
            assert line in text, (file, line)
    line = parts[5].strip().splitlines()[-1]
    assert line in (ROOT / "kerascnn" / "cli" / "exporting.py").read_text(encoding="utf-8")


def test_links_lead_somewhere():
    assert len(PAGE.text.splitlines()) <= 200
    targets = [
        *re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE.text),
        *re.findall(r"`((?:\w+/)+\w+\.(?:py|pyi|yaml))`", PAGE.text),
    ]
    new = {"kerascnn/applications/tinynet.py", "kerascnn/layers/channel_scale.py"}
    assert len(targets) > 15
    assert {target for target in targets if not (ROOT / target).exists()} <= new
