"""ThinNet: counts of parameters, derived by hand, and what its options change."""

import pytest

from kerascnn import InputError
from kerascnn.applications import PReLUNetA, ThinNet
from support.messages import mentioning
from support.networks import without_values

# 3 x 3 convolutions of n filters on as many, and of 2n on n, with biases.
SAME = {filters: 9 * filters * filters + filters for filters in (16, 32, 64)}
FIRST = {16: 9 * 3 * 16 + 16, 32: 9 * 16 * 32 + 32, 64: 9 * 32 * 64 + 64}
CLASSIFIER = 64 * 10 + 10


def layers(depth_of_stage):
    """The convolutions of stages of so many layers, and the classifier."""
    counts = zip(FIRST, depth_of_stage, strict=True)
    return sum(FIRST[filters] + (count - 1) * SAME[filters] for filters, count in counts) + CLASSIFIER


@pytest.mark.parametrize(
    ("arguments", "parameters"),
    [
        ({"depth": 20}, layers((7, 6, 6))),
        ({"depth": 50}, layers((17, 16, 16))),
        ({"depth": 4}, layers((1, 1, 1))),
        # A slope per filter.
        ({"depth": 20, "activation": "prelu"}, layers((7, 6, 6)) + 7 * 16 + 6 * 32 + 6 * 64),
        # gamma, beta, two moving statistics, and no bias.
        ({"depth": 20, "batch_norm": True}, layers((7, 6, 6)) + 3 * (7 * 16 + 6 * 32 + 6 * 64)),
        # A gate for all convolutions but the first of each stage.
        (
            {"depth": 20, "layer": "highway"},
            layers((7, 6, 6)) + 6 * SAME[16] + 5 * SAME[32] + 5 * SAME[64],
        ),
        ({"depth": 20, "aux_heads": True}, layers((7, 6, 6)) + 16 * 10 + 10 + 32 * 10 + 10),
    ],
)
def test_parameters(arguments, parameters):
    assert without_values(ThinNet, **arguments).count_params() == parameters


def test_outputs():
    model = without_values(ThinNet, aux_heads=True, input_shape=(16, 16, 3), classes=3)
    assert {name: tuple(one.shape) for name, one in model.output.items()} == dict.fromkeys(
        ("main", "aux_conv1", "aux_conv2"), (None, 3)
    )
    assert not isinstance(without_values(ThinNet, aux_heads=True, include_top=False).output, dict)
    assert without_values(ThinNet, layer="highway", activation="prelu").get_layer("conv1_2_prelu")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ({"depth": 3}, ("at least 4", "3")),
        ({"depth": 20.5}, ("depth", "20.5")),
        ({"layer": "dense"}, ("'plain' or 'highway'", "'dense'")),
        ({"activation": "tanh"}, ("'relu' or 'prelu'", "'tanh'")),
        ({"layer": "highway", "batch_norm": True}, ("batch_norm", "highway")),
    ],
)
def test_mistakes(arguments, parts):
    with mentioning(InputError, "ThinNet", *parts):
        ThinNet(**arguments)


def test_a_prelu_net_with_relus():
    """Without a slope per filter, and per unit of both dense layers."""
    prelu, relu = (without_values(PReLUNetA, activation=one).count_params() for one in ("prelu", "relu"))
    assert prelu - relu == 96 + 5 * (256 + 512 + 512) + 2 * 4096
    with mentioning(InputError, "PReLUNetA", "'relu'", "'elu'"):
        PReLUNetA(activation="elu")
