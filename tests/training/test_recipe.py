import inspect
import re
import subprocess
import sys
from dataclasses import replace
from operator import attrgetter

import keras
import numpy as np
import pytest

from kerascnn import InputError
from kerascnn.applications import registry
from kerascnn.cli.other_programs import OPTIONS
from kerascnn.data import Augmentation
from kerascnn.training import Averaging, Recipe, choose_precision, recipes, resolved
from kerascnn.training.assembly import assemble, compile_for
from kerascnn.training.recipe.files import FOLDER
from support.messages import mentioning


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_recipe_loads_and_survives_a_round_trip(file, tmp_path):
    recipe = Recipe.load(file.stem)
    assert Recipe.load(file) == recipe
    assert Recipe.from_dict(recipe.to_dict(), "again") == recipe


def test_words_of_other_programs_are_fields():
    fields = re.findall(r"--set ([\w.]+)=", " ".join(OPTIONS.values()))
    assert len(fields) > 5
    for field in fields:
        # An AttributeError names what there is not.
        attrgetter(field)(Recipe())


def test_every_network_has_a_recipe():
    for name in registry.list_models():
        assert Recipe.for_model(name).model == name


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"epoch": 3}, ("'epoch'", "'epochs'")),
        ({"optimizer": {"learning_rat": 3}}, ("'optimizer.learning_rat'", "'optimizer.learning_rate'")),
        ({"epochs": "many"}, ("mine.yaml", "epochs", "whole number", "'many'")),
        ({"epochs": 2.5}, ("epochs", "whole number", "2.5")),
        ({"epochs": None}, ("epochs", "whole number", "null")),
        ({"augmentation": {"flip": 1}}, ("augmentation.flip", "true or false", "not 1")),
        ({"augmentation": {"scale": [1]}}, ("augmentation.scale", "list of 2", "number", "null")),
        ({"optimizer": {"name": "lion"}}, ("mine.yaml", "optimizer.name", "sgd", "adam", "rmsprop", "'lion'")),
        ({"optimizer": {"name": "rmspop"}}, ("'rmspop'", "closest", "rmsprop")),
        ({"optimizer": {"learning_rate": "0.1"}}, ("optimizer.learning_rate", "a number above 0", "'0.1'")),
        ({"fine_tuning": {"layer_lr_decay": 2}}, ("fine_tuning.layer_lr_decay", "above 0 and at most 1", "not 2")),
        ({"pixels": {"crop_fraction": 1.5}}, ("pixels.crop_fraction", "from 0.01 to 1", "not 1.5")),
        ({"optimizer": "sgd"}, ("optimizer", "name, learning_rate, ", "'sgd'")),
        ({"optimizer": {"learning_rate": 0}}, ("mine.yaml", "optimizer.learning_rate", "above 0", "not 0")),
        ({"averaging": {"decay": 1}}, ("averaging.decay", "from 0", "less than 1", "not 1")),
        ({"base": "resnett"}, ("mine.yaml", "'resnett'", "did you mean resnet")),
        ({"epochs": 0}, ("epochs", "at least 1", "not 0")),
        ({"seed": -1}, ("seed", "from 0 to 2147483647", "-1")),
        ({"model": "resnet"}, ("model", "'resnet'", "did you mean")),
    ],
)
def test_mistakes_are_named(tmp_path, values, parts):
    import yaml

    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(values))
    with mentioning(InputError, *parts) as raised:
        Recipe.load(file)
    assert "\n" not in str(raised.value)


def test_mistakes_in_python_are_named():
    with mentioning(InputError, "averaging.decay", "from 0 to less than 1", "nan"):
        Averaging(float("nan"))
    with mentioning(InputError, "'epohs'", "'epochs'"):
        Recipe(epohs=3)


@pytest.mark.parametrize(("contents", "reason"), [("a: [1", "YAML"), ("- 1", "no fields"), (None, "cannot be read")])
def test_files_that_are_no_recipes(tmp_path, contents, reason):
    file = tmp_path / "mine.yaml"
    if contents:
        file.write_text(contents)
    with mentioning(InputError, "mine.yaml", reason):
        Recipe.load(file)
    with mentioning(InputError, "'resnet_smal'", "did you mean resnet_small"):
        Recipe.load("resnet_smal")


def test_every_network_has_its_papers_recipe():
    for name in registry.list_models():
        recipe = Recipe.load(name)
        assert recipe.model == name
        assert recipe.about.kind == "paper"
        year = str(registry.info(name).year)
        assert year in recipe.about.paper, f"{name} is of {year}, its recipe of {recipe.about.paper}"


def test_recipes_list_their_networks():
    """Every network is in one recipe of its paper and one of today; those for few images are the registry's."""
    found = recipes()
    for kind in ("paper", "modern", "small"):
        named = [name for recipe in found.values() if recipe.about.kind == kind for name in recipe.about.networks]
        assert len(set(named)) == len(named)
        missing = set(registry.list_models()) - set(named)
        assert not missing, f"not in about.networks of any recipe of kind {kind}: {', '.join(missing)}"
    for name, recipe in found.items():
        # Weights are taken from any network.
        assert recipe.model in recipe.about.networks or recipe.about.kind == "transfer"
        if recipe.about.kind == "small":
            others = [network for network in recipe.about.networks if registry.info(network).recipe != name]
            assert not others, f"{name}.yaml is not `recipe` in the registry of {', '.join(others)}"


@pytest.mark.parametrize("name", sorted(recipes()))
def test_builders_accept_the_recipes_arguments(name):
    """The arguments, and a crop that the image's shorter side has room for."""
    recipe = Recipe.load(name)
    for network in recipe.about.networks:
        signature = inspect.signature(registry.builder(network))
        signature.bind(**recipe.model_arguments)
        if recipe.augmentation.resize_range:
            assert recipe.augmentation.resize_range[0] >= registry.info(network).input_size


# The numbers of the papers: optimizer, batch, learning rate, weight decay, length, smoothing, clipping, average.
@pytest.mark.parametrize(
    ("name", "optimizer", "batch", "rate", "decay", "length"),
    [
        ("alexnet", "sgd", 128, 0.01, 5e-4, (90, None)),
        ("zfnet", "sgd", 128, 0.01, 0.0, (70, None)),
        ("vgg19", "sgd", 256, 0.01, 5e-4, (74, None)),
        ("inceptionv3", "rmsprop", 32 * 50, 0.045, 0.0, (100, None)),
        ("plain34", "sgd", 256, 0.1, 1e-4, (12, 60 * 10**4)),
        ("resnet110", "sgd", 128, 0.1, 1e-4, (12, 64_000)),
        ("nin", "sgd", 128, 0.1, 1e-4, (230, None)),
        ("dsn", "sgd", 100, 0.025, 5e-4, (12, 200_000)),
        ("fitnet4", "rmsprop", 128, 0.005, 0.0, (288, None)),
        ("highway32", "sgd", 100, 0.025, 1e-3, (12, 200_000)),
        ("prelunetc", "sgd", 128, 0.01, 5e-4, (80, None)),
    ],
)
def test_numbers_of_the_papers(name, optimizer, batch, rate, decay, length):
    recipe = Recipe.load(name)
    found = recipe.optimizer
    assert (found.name, recipe.batch_size, recipe.peak_learning_rate) == (optimizer, batch, rate)
    assert found.momentum == (0.9 if optimizer == "sgd" else 0.0)
    assert (found.weight_decay, found.weight_decay_form if decay else "l2") == (decay, "l2")
    assert (recipe.epochs, recipe.iterations) == length


def test_numbers_of_inception_v3():
    recipe = Recipe.load("inceptionv3")
    assert (recipe.optimizer.rho, recipe.optimizer.epsilon, recipe.optimizer.clip_norm) == (0.9, 1.0, 2.0)
    assert (recipe.label_smoothing, recipe.auxiliary_heads.weight) == (0.1, 0.3)
    assert Recipe.load("googlenet").evaluation.shorter_sides == [256, 288, 320, 352]


def test_numbers_of_maxout():
    recipe = Recipe.load("maxout")
    found = recipe.optimizer
    assert (found.learning_rate, found.initial_momentum, found.momentum, found.momentum_epochs) == (
        0.17,
        0.5,
        0.65,
        250,
    )
    assert found.max_norms == {"^conv1": 0.9, "^conv[23]": 1.9365, "^fc": 1.9, "^predictions$": 1.9365}
    assert (recipe.pixels.contrast, recipe.pixels.whitening, recipe.epochs) == (55, 0.1, 474)
    assert recipe.augmentation.pad == 8  # pad_randomized, on every side
    heads = Recipe.load("dsn").auxiliary_heads
    assert (heads.weight, heads.loss, heads.decay_epochs) == (0.1, "squared_hinge", 100)


def test_a_recipe_builds_on_another(tmp_path):
    (tmp_path / "mine.yaml").write_text("base: resnet_small\noptimizer: {nesterov: false}\n")
    (tmp_path / "other.yaml").write_text("base: mine.yaml\niterations: 50\naugmentation: {}\n")
    small, other = Recipe.load("resnet_small"), Recipe.load(tmp_path / "other.yaml")
    assert other.optimizer == replace(small.optimizer, nesterov=False)
    assert (other.iterations, other.augmentation, other.pixels) == (50, Augmentation(), small.pixels)
    (tmp_path / "mine.yaml").write_text("base: other.yaml\n")
    with mentioning(InputError, "itself", "other.yaml -> mine.yaml"):
        Recipe.load(tmp_path / "other.yaml")


def test_settings_of_a_command_line():
    recipe = Recipe.load("cifar_resnet").with_settings(
        [
            "epochs=3",
            "optimizer.learning_rate=1e-2",
            "schedule.milestones=[10, 20]",
            "optimizer.clip_norm=null",
            "model=ResNet-56",
        ]
    )
    assert (recipe.epochs, recipe.iterations) == (3, None)
    assert (recipe.optimizer.learning_rate, recipe.optimizer.weight_decay) == (0.01, 1e-4)
    assert recipe.schedule.milestones == [10, 20]
    for text, part in [("epochs", "NAME=VALUE"), ("optimizer.lr=1", "optimizer.lr"), ("a=[", "YAML")]:
        with mentioning(InputError, part):
            recipe.with_settings([text])


def test_reading_recipes_starts_no_backend():
    program = (
        "import sys\nfrom kerascnn.training import recipes\nassert len(recipes()) > 15\n"
        "assert not {'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_iterations_become_whole_epochs(few_digits):
    # 160 images in batches of 128 are one step an epoch; in batches of 50, three.
    recipe = Recipe.load("resnet20")
    assert resolved(recipe, few_digits).epochs == 64_000
    assert resolved(recipe.with_values(batch_size=50), few_digits).epochs == 21_334
    assert resolved(recipe.with_values(epochs=2), few_digits).epochs == 2


def test_weights_that_start_at_zero(few_digits):
    recipe = Recipe.load("resnet_modern_basic").with_values(image_size=33, batch_size=8, precision="float32")
    model = assemble(resolved(recipe, few_digits), few_digits)
    zero = {weight.path for weight in model.trainable_variables if weight.path.endswith("gamma") and not np.any(weight)}
    # Two blocks in each of four stages.
    assert zero == {f"conv{stage}_{block}_2_bn/gamma" for stage in range(2, 6) for block in (1, 2)}
    with mentioning(InputError, "'nothing'", "resnet18"):
        assemble(resolved(recipe.with_settings(["initialization.zeros=nothing"]), few_digits), few_digits)


def test_pixels_around_the_middle_of_their_range(few_digits):
    recipe = resolved(Recipe.load("inceptionv3").with_values(image_size=107, precision="float32"), few_digits)
    recipe = replace(recipe, auxiliary_heads=replace(recipe.auxiliary_heads, use=False))
    layer = assemble(recipe, few_digits).get_layer("preprocessing")
    np.testing.assert_allclose(layer(np.array([[[[0.0, 127.5, 255.0]]]])), [[[[-1, 0, 1]]]], atol=1e-6)


def chain(x, *layers):
    start = x
    for layer in layers:
        x = layer(x)
    return keras.Model(start, x)


def learning_rates(recipe, steps_per_epoch):
    model = chain(keras.Input((2,)), keras.layers.Dense(3, name="fc"))
    compile_for(model, recipe, steps_per_epoch)
    schedule = model.optimizer._learning_rate
    return np.array([float(schedule(step)) for step in range(recipe.epochs * steps_per_epoch + 1)])


def test_cosine_with_warm_up_is_its_closed_form():
    recipe = Recipe.load("resnet_small").with_values(epochs=5)
    rates = learning_rates(recipe, steps_per_epoch=10)
    steps = np.arange(51)
    expected = np.where(steps < 10, 0.1 * steps / 10, 0.05 * (1 + np.cos(np.pi * (steps - 10) / 40)))
    np.testing.assert_allclose(rates, expected, atol=1e-7)


def test_constant_with_warm_up():
    recipe = Recipe.load("resnet_small").with_values(epochs=3)
    recipe = replace(recipe, schedule=replace(recipe.schedule, name="constant", warmup_epochs=2))
    rates = learning_rates(recipe, steps_per_epoch=5)
    np.testing.assert_allclose(rates, np.minimum(np.arange(16), 10) / 100, atol=1e-7)


@pytest.mark.parametrize("name", ["sgd", "rmsprop", "adam"])
def test_weight_decay_excludes_biases_and_normalization(name):
    recipe = Recipe.load("resnet_small")
    settings = replace(recipe.optimizer, name=name, weight_decay=0.1, learning_rate=0.5, momentum=0.0)
    recipe = replace(recipe, optimizer=settings, schedule=replace(recipe.schedule, name="constant", warmup_epochs=0))
    dense = keras.layers.Dense(3, name="fc", bias_initializer="ones")
    model = chain(keras.Input((2,)), dense, keras.layers.BatchNormalization(name="bn"))
    compile_for(model, recipe, 1)
    before = {weight.path: np.asarray(weight) for weight in model.trainable_variables}
    model.optimizer.apply(
        [np.zeros(weight.shape, "float32") for weight in model.trainable_variables], model.trainable_variables
    )
    for weight in model.trainable_variables:
        kept = 1 - 0.5 * 0.1 if weight.path.endswith("kernel") else 1
        np.testing.assert_allclose(np.asarray(weight), kept * before[weight.path], rtol=1e-5)


def test_losses_of_auxiliary_heads_are_weighted():
    inputs = keras.Input((2,))
    outputs = {name: keras.layers.Dense(3, activation="softmax", name=name)(inputs) for name in ("main", "aux_4a")}
    model = keras.Model(inputs, outputs)
    compile_for(model, Recipe.load("googlenet_small"), 1)
    x, y = np.ones((4, 2), "float32"), keras.utils.to_categorical([0, 1, 2, 0], 3)
    metrics = model.evaluate(x, dict.fromkeys(outputs, y), verbose=0, return_dict=True)
    assert {"main_top1", "aux_4a_top1"} < set(metrics)
    np.testing.assert_allclose(metrics["loss"], metrics["main_loss"] + 0.3 * metrics["aux_4a_loss"], rtol=1e-5)


def test_label_smoothing_is_its_closed_form():
    model = chain(keras.Input((4,)), keras.layers.Activation("softmax", name="predictions"))
    compile_for(model, replace(Recipe.load("resnet_small"), label_smoothing=0.1), 1)
    logits = np.array([[2.0, 0.0, -1.0, 1.0]], "float32")
    logs = logits - np.log(np.exp(logits).sum())
    expected = -(np.array([0.925, 0.025, 0.025, 0.025]) * logs).sum()
    loss = model.evaluate(logits, np.eye(4)[:1], verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_a_requested_precision_is_used():
    assert choose_precision("mixed_float16").policy == "mixed_float16"
    automatic = choose_precision("auto")
    assert automatic.policy in ("float32", "mixed_bfloat16", "mixed_float16")
    assert automatic.reason
