"""The experiments as data: every arm can be trained, and differs from the others only in what is compared."""

import json

import pytest

from kerascnn import InputError
from kerascnn.applications import registry
from kerascnn.applications.network import Network
from kerascnn.experiments import EXPERIMENTS, find
from kerascnn.experiments.experiment import Arm, recipe_of
from kerascnn.experiments.runs import ArmRun, taught
from kerascnn.training import Recipe, RunFolder
from kerascnn.training.assembly import build
from support.messages import mentioning, refused

SCALES = ("small", "full")
TRAINED = [(name, scale) for name, one in EXPERIMENTS.items() for scale in SCALES if getattr(one, scale)]


class AcceptedError(Exception):
    """A network accepts its arguments."""


@pytest.fixture
def without_layers(monkeypatch):
    """Stops building after a network has checked its arguments and the size of the images."""

    def images(network, **how):
        whole(network, **how)
        raise AcceptedError

    whole = Network.images
    monkeypatch.setattr(Network, "images", images)


@pytest.mark.parametrize(("name", "scale"), TRAINED)
def test_every_arm_has_a_recipe_that_its_network_accepts(name, scale, without_layers):
    experiment = find(name)
    assert len({arm.name for arm in experiment.arms}) == len(experiment.arms)
    for arm in experiment.arms:
        recipe = recipe_of(arm, experiment.scale(scale), seed=7)
        assert recipe.seed == 7
        recipe = recipe.with_values(image_size=recipe.image_size or registry.info(recipe.model).input_size)
        with pytest.raises(AcceptedError):
            build(recipe, ["a", "b"])


def test_a_taught_arm_has_the_teacher_of_its_seed(tmp_path):
    teachers = [ArmRun(Arm("teacher"), Recipe(seed=seed), RunFolder(tmp_path / str(seed))) for seed in (0, 1)]
    recipe = taught(Recipe(seed=1), Arm("student", taught_by="teacher"), teachers)
    assert recipe.distillation.teacher == str(tmp_path / "1")
    for experiment in EXPERIMENTS.values():
        names = [arm.name for arm in experiment.arms]
        assert all(arm.taught_by in names[:number] for number, arm in enumerate(experiment.arms) if arm.taught_by)


def test_claims_are_of_arms():
    for experiment in EXPERIMENTS.values():
        names = {arm.name for arm in experiment.arms}
        assert all({claim.better, claim.worse} <= names for claim in experiment.claims)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("degradation", {"model"}),
        ("prelu", {"model_arguments"}),
        ("highway-depth", {"model_arguments"}),
        ("depth", {"model"}),
        ("shortcuts", {"model_arguments"}),
        ("auxiliary-heads", {"auxiliary_heads"}),
        ("label-smoothing", {"label_smoothing"}),
        ("batch-norm", {"model_arguments", "optimizer"}),
        ("inception", {"model_arguments", "optimizer", "label_smoothing"}),
        ("distillation", {"model", "distillation"}),
    ],
)
def test_arms_differ_only_in_what_is_compared(name, fields, scale):
    experiment = find(name)
    if (name, scale) not in TRAINED:
        with mentioning(InputError, "no small scale", experiment.small_cannot, "--scale full"):
            experiment.scale(scale)
        return
    recipes = [recipe_of(arm, experiment.scale(scale), seed=0).to_dict() for arm in experiment.arms]
    differing = {field for recipe in recipes for field in recipe if recipe[field] != recipes[0][field]}
    if (name, scale) == ("depth", "full"):
        # ResNet-110 warms up at a tenth of the learning rate (section 4.2).
        assert differing - {"about", "schedule"} == fields
        assert recipes[-1]["schedule"]["warmup_factor"] == 0.1
    else:
        assert differing == fields


def test_full_scale_is_that_of_the_papers():
    degradation = find("degradation")
    for arm in degradation.arms:
        recipe = recipe_of(arm, degradation.full, seed=0)
        assert (recipe.iterations, recipe.batch_size, recipe.optimizer.learning_rate) == (64_000, 128, 0.1)
    assert len(find("crops").full.seeds) == 7
    rates = [recipe_of(arm, find("batch-norm").full, seed=0).optimizer.learning_rate for arm in find("batch-norm").arms]
    assert [rate / rates[0] for rate in rates] == pytest.approx([1, 5, 30, 1, 5, 30])


@pytest.mark.parametrize("name", ["depth", "degradation", "cifar-table"])
def test_published_results_are_the_registrys(name):
    for arm in find(name).arms:
        accuracies = registry.info(arm.model).accuracies
        assert arm.published.split()[0] == (f"{accuracies[0].top1:.2f}" if accuracies else "–")


def test_the_table_of_comparators():
    """Table 6 of the paper on residual networks, each with its own recipe: its paper's, or that for few images."""
    experiment = find("cifar-table")
    assert [arm.model for arm in experiment.arms] == [
        "maxout", "nin", "dsn", "fitnet4", "highway19", "highway32",
        "resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet1202",
    ]  # fmt: skip
    *small, last = experiment.arms
    assert experiment.arms_at(experiment.small) == small and last in experiment.arms_at(experiment.full)
    optimizers = {arm.model: recipe_of(arm, experiment.small, seed=0).optimizer.name for arm in small}
    assert optimizers["nin"] == "adam" and optimizers["resnet20"] == "sgd"
    whitened = {arm.model for arm in experiment.arms if recipe_of(arm, experiment.full, seed=0).pixels.whitening}
    assert whitened == {"maxout", "nin", "fitnet4"}


def test_the_list(command):
    shown = command("experiment")
    assert shown.status == 0
    listed = json.loads(command("experiment", "--json").out)
    assert [one["name"] for one in listed] == list(EXPERIMENTS)
    assert all(one["name"] in shown.out and one["arms"] for one in listed)
    assert [(one["name"], scale) for one in listed for scale in one["scales"]] == TRAINED


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["degradations"], ["'degradations'", "degradation?"]),
        (["shortcuts"], ["small scale", "half a percent", "--scale full"]),
        (["shortcuts", "--scale", "full"], ["'shortcuts'", "ImageNet", "--data SOURCE"]),
        (["degradation", "--seeds", "1,1"], ["--seeds", "different", "'1,1'"]),
        (["degradation", "--data", "digits", "--set", "epoch=1"], ["epoch"]),
    ],
)
def test_a_mistake_is_one_sentence(arguments, parts, command, tmp_path):
    refused(command("experiment", *arguments, "--out", tmp_path), *parts)


def test_an_unknown_scale():
    with mentioning(InputError, "'small'", "'full'", "'tiny'"):
        find("depth").scale("tiny")
