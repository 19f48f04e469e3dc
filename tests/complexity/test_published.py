"""The papers' numbers and the computed ones: equal to the published digits, or listed with a reason that holds."""

import keras
import pytest
from PIL import Image

from kerascnn.applications import registry
from kerascnn.complexity import analyze, diagram
from kerascnn.complexity.published import (
    MACS,
    MILLION,
    PARAMETERS,
    REASONS,
    TABLES,
    PublishedNumber,
    explanations,
    published_numbers,
)
from support.networks import report_of

TAKES_LONG = ("resnet1202",)


def everyone():
    slow = pytest.mark.slow
    return [pytest.param(name, marks=[slow] if name in TAKES_LONG else []) for name in registry.list_models()]


@pytest.mark.parametrize("name", everyone())
def test_every_number_agrees_or_has_its_reason(name):
    found = published_numbers(name, report_of(name))
    model = registry.info(name)
    published = [number.quantity for number in found if number.subject == name]
    assert (PARAMETERS in published) == (model.published_parameters is not None)
    assert (MACS in published) == (model.published_macs is not None)
    deviations = {(number.subject, number.quantity) for number in found if not number.agrees}
    assert deviations <= REASONS.keys()
    # A reason for a number that agrees would explain nothing.
    assert {key for key in REASONS if key[0].partition(" ")[0] == name} == deviations


def test_reasons_are_for_networks_that_exist():
    assert {subject.partition(" ")[0] for subject, _ in REASONS} <= set(registry.list_models())


def test_agreement_is_rounding():
    def agrees(published, computed):
        return PublishedNumber("net", PARAMETERS, published, MILLION, computed).agrees

    assert agrees(138, 138_357_544) and agrees(0.27, 269_722) and agrees(2.0, 1_960_000)
    assert not agrees(60, 60_965_224) and not agrees(0.27, 275_001) and not agrees(2.0, 2_400_000)
    wrong = PublishedNumber("net", PARAMETERS, 60, MILLION, 66_000_000)
    assert wrong.deviation == pytest.approx(0.1)
    assert explanations([wrong]) == ["net parameters: unknown."]


def test_reason_alexnet():
    assert report_of("alexnet", groups=2).totals.parameters == 60_965_224
    assert report_of("alexnet").totals.parameters == 62_378_344


def test_reason_vgg16():
    """15.3 does not include the dense layers, VGG-19's 19.6 does."""

    def convolutions(report):
        return sum(row.macs for row in report.rows if row.kind == "Conv2D")

    vgg16, vgg19 = report_of("vgg16"), report_of("vgg19")
    assert convolutions(vgg16) == 15_346_630_656
    assert vgg16.totals.macs - convolutions(vgg16) == 25088 * 4096 + 4096 * 4096 + 4096 * 1000
    assert f"{convolutions(vgg19) / 1e9:.1f}" == "19.5" and f"{vgg19.totals.macs / 1e9:.1f}" == "19.6"


def test_reason_googlenet_sums():
    """The network's published numbers are the sums of the published columns."""
    parameters, macs = map(sum, zip(*TABLES["googlenet"].values(), strict=True))
    assert parameters == pytest.approx(6797.7) and macs == 1502


def test_reason_googlenet_conv1():
    images = keras.Input((224, 224, 3))
    separable = keras.layers.SeparableConv2D(64, 7, 2, padding="same", depth_multiplier=8, use_bias=False)
    totals = analyze(keras.Model(images, separable(images))).totals
    assert (totals.parameters, totals.macs) == (2712, 112 * 112 * 2712)
    assert PublishedNumber("separable", PARAMETERS, 2.7, 1000, totals.parameters).agrees
    assert PublishedNumber("separable", MACS, 34, MILLION, totals.macs).agrees


def test_reason_googlenet_5a():
    """The published parameters and operations agree with each other, and 4e's, of the same filters, with neither."""
    parameters, macs = TABLES["googlenet"]["inception_5a"]
    assert round(parameters * 1024 * 7 * 7 / 1e6) == macs
    assert report_of("googlenet").stage("inception_5a").sums.macs == 51_079_168


def test_reason_inception():
    """Neither network of the paper, nor the step between its published 3.8 and 4.8, has the published operations."""
    seven, released = (report_of(name).totals.macs for name in ("inceptionv2", "inceptionv3"))
    factorized = report_of("inceptionv2", factorized_7x7=True).totals.macs
    assert report_of("inceptionv3", stem="paper").totals.macs == factorized
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
    assert round(report_of(name, **extras).totals.macs / 1e9, 1) == published


def test_flops_row_deviations():
    """ResNet-34's projections, 1 x 1 of 64 to 128, 128 to 256, 256 to 512."""
    projections = 28 * 28 * 64 * 128 + 14 * 14 * 128 * 256 + 7 * 7 * 256 * 512
    without = report_of("resnet34", shortcut="A").totals.macs
    assert without == 3_644_493_824
    assert report_of("resnet34").totals.macs == without + projections
    assert report_of("resnet50").totals.macs == 3_857_973_248


@pytest.mark.slow
def test_thousands_of_layers():
    report = report_of("resnet1202")
    assert len(report.rows) > 4000
    # Convolutions 3 x 3 of 1 + 400, 400 and 400 layers, and the dense layer.
    convolutions = 32 * 32 * 9 * (3 * 16 + 400 * 16 * 16)
    convolutions += 16 * 16 * 9 * (16 * 32 + 399 * 32 * 32) + 8 * 8 * 9 * (32 * 64 + 399 * 64 * 64)
    assert report.totals.macs == convolutions + 640


def test_labels_of_all_networks_overlap_nothing(tmp_path, monkeypatch):
    """In the plot of their accuracies; this test is in this file because the tests above compute the reports."""
    names = [name for name in registry.list_models() if registry.info(name).data == "ImageNet"]
    reports = {name: report_of(name) for name in names}
    placed = {}
    original = diagram.label

    def spied(axes, named, discs):
        written = original(axes, named, discs)
        placed["words"] = [diagram._extent(one) for one in written]
        placed["discs"] = [diagram._square(axes, disc) for disc in discs]
        placed["axes"] = axes.bbox
        return written

    monkeypatch.setattr(diagram, "label", spied)
    diagram.draw(reports, tmp_path / "all.png")
    words, discs = placed["words"], placed["discs"]
    assert len(words) == len({disc.name for disc in diagram.discs_of(reports)})
    for number, one in enumerate(words):
        assert not any(one.overlaps(other) for other in words[number + 1 :] + discs)
        assert placed["axes"].x0 <= one.x0 and one.x1 <= placed["axes"].x1
    with Image.open(tmp_path / "all.png") as image:
        assert image.size == (1200, 840)
