"""The papers' figures against the analysed ones: equal to the digits printed, or listed with a reason that holds."""

import functools

import keras
import pytest

from kerascnn.applications import registry
from kerascnn.complexity import analyze, analyze_by_name
from kerascnn.complexity.published import (
    GOOGLENET_TABLE,
    MACS,
    MILLION,
    PARAMETERS,
    REASONS,
    Figure,
    explanations,
    figures,
)

TAKES_LONG = ("resnet1202",)

report_of = functools.cache(analyze_by_name)


def everyone():
    slow = pytest.mark.slow
    return [pytest.param(name, marks=[slow] if name in TAKES_LONG else []) for name in registry.list_models()]


@pytest.mark.parametrize("name", everyone())
def test_every_figure_agrees_or_has_its_reason(name):
    found = figures(name, report_of(name))
    entry = registry.info(name)
    published = [figure.quantity for figure in found if figure.subject == name]
    assert (PARAMETERS in published) == (entry.published_parameters is not None)
    assert (MACS in published) == (entry.published_macs is not None)
    silent = [figure for figure in found if not figure.agrees and (figure.subject, figure.quantity) not in REASONS]
    assert silent == []
    # A reason for what agrees would explain nothing.
    listed = {(figure.subject, figure.quantity) for figure in found if not figure.agrees}
    assert {key for key in REASONS if key[0].partition(" ")[0] == name} == listed


def test_reasons_are_of_networks_that_exist():
    assert {subject.partition(" ")[0] for subject, _ in REASONS} <= set(registry.list_models())


def test_agreement_is_rounding():
    def agrees(printed, analysed):
        return Figure("net", PARAMETERS, printed, MILLION, analysed).agrees

    assert agrees(138, 138_357_544) and agrees(0.27, 269_722) and agrees(2.0, 1_960_000)
    assert not agrees(60, 60_965_224) and not agrees(0.27, 275_001) and not agrees(2.0, 2_400_000)
    wrong = Figure("net", PARAMETERS, 60, MILLION, 66_000_000)
    assert wrong.deviation == pytest.approx(0.1)
    assert explanations([wrong]) == ["net parameters: not known."]


def test_reason_alexnet():
    assert analyze_by_name("alexnet", groups=2).totals.parameters == 60_965_224
    assert report_of("alexnet").totals.parameters == 62_378_344


def test_reason_vgg16():
    """15.3 has no dense layers, 19.6 of VGG-19 has."""

    def convolutions(report):
        return sum(row.macs for row in report.rows if row.kind == "Conv2D")

    vgg16, vgg19 = report_of("vgg16"), report_of("vgg19")
    assert convolutions(vgg16) == 15_346_630_656
    assert vgg16.totals.macs - convolutions(vgg16) == 25088 * 4096 + 4096 * 4096 + 4096 * 1000
    assert f"{convolutions(vgg19) / 1e9:.1f}" == "19.5" and f"{vgg19.totals.macs / 1e9:.1f}" == "19.6"


def test_reason_googlenet_sums():
    """The network's figures are sums of the columns as printed."""
    assert sum(row.parameters for row in GOOGLENET_TABLE) == pytest.approx(6797.7)
    assert sum(row.macs for row in GOOGLENET_TABLE) == 1502


def test_reason_googlenet_conv1():
    images = keras.Input((224, 224, 3))
    separable = keras.layers.SeparableConv2D(64, 7, 2, padding="same", depth_multiplier=8, use_bias=False)
    totals = analyze(keras.Model(images, separable(images))).totals
    assert (totals.parameters, totals.macs) == (2712, 112 * 112 * 2712)
    for figure in (
        Figure("separable", PARAMETERS, 2.7, 1000, totals.parameters),
        Figure("separable", MACS, 34, MILLION, totals.macs),
    ):
        assert figure.agrees


def test_reason_googlenet_5a():
    """Parameters and operations of the misprint agree with each other, and 4e's, the same filters, with neither."""
    row = next(row for row in GOOGLENET_TABLE if row.stage == "inception_5a")
    assert round(row.parameters * 1024 * 7 * 7 / 1e6) == row.macs
    assert report_of("googlenet").stage("inception_5a").sums.macs == 51_079_168


def test_reason_inception():
    """Neither network of the paper, nor the step between its printed 3.8 and 4.8, has the operations printed."""
    seven, factorized, released = (
        analyze_by_name("inceptionv2").totals.macs,
        analyze_by_name("inceptionv2", factorized_7x7=True).totals.macs,
        report_of("inceptionv3").totals.macs,
    )
    assert analyze_by_name("inceptionv3", stem="paper").totals.macs == factorized
    assert [round(macs / 1e9, 3) for macs in (factorized, released)] == [6.483, 5.713]
    # 3 x 3 of 3 to 32, 32 to 32, 32 to 64 channels on 149, 147, 147 pixels, in the place of 7 x 7 of 3 to 64 on 147.
    three = 9 * (149**2 * 3 * 32 + 147**2 * 32 * 32 + 147**2 * 32 * 64)
    assert factorized - seven == three - 147**2 * 49 * 3 * 64


@pytest.mark.parametrize(
    ("name", "extras", "published"),
    [
        ("resnet18", {"shortcut": "A"}, 1.8),
        ("resnet18", {}, 1.8),
        ("resnet34", {"shortcut": "A"}, 3.6),
        ("plain34", {}, 3.6),
        ("resnet101", {}, 7.6),
        ("resnet152", {}, 11.3),
    ],
)
def test_flops_row_of_the_residual_networks(name, extras, published):
    assert round(analyze_by_name(name, **extras).totals.macs / 1e9, 1) == published


def test_flops_row_deviations():
    """ResNet-34's projections, 1 x 1 of 64 to 128, 128 to 256, 256 to 512."""
    projections = 28 * 28 * 64 * 128 + 14 * 14 * 128 * 256 + 7 * 7 * 256 * 512
    without = analyze_by_name("resnet34", shortcut="A").totals.macs
    assert without == 3_644_493_824
    assert report_of("resnet34").totals.macs == without + projections
    assert report_of("resnet50").totals.macs == 3_857_973_248
