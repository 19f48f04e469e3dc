"""The worked examples of papers and of a course, and the page that shows them."""

import functools

import keras
import pytest

from kerascnn.complexity import analyze
from support.networks import report_of
from support.pages import Page

L = keras.layers
PAGE = Page("docs/complexity.md").text

same = functools.partial(L.Conv2D, padding="same", use_bias=False)


def totals(shape, build):
    images = keras.Input(shape)
    return analyze(keras.Model(images, build(images))).totals


def field(*layers):
    images = x = keras.Input((227, 227, 3))
    for layer in layers:
        x = layer(x)
    return analyze(keras.Model(images, x)).rows[-1].receptive_field[0]


def row(*cells):
    """A row of the page's table."""
    return f"| {' | '.join(cells)} |"


@pytest.fixture(scope="module")
def vgg16():
    return report_of("vgg16")


def test_vgg16_memory(vgg16):
    numbers = vgg16.totals.forward_bytes // 4
    # The image, two, two and three times three convolutions, five pools, three dense layers.
    convolutions = 2 * 224**2 * 64 + 2 * 112**2 * 128 + 3 * 56**2 * 256 + 3 * 28**2 * 512 + 3 * 14**2 * 512
    pools = 112**2 * 64 + 56**2 * 128 + 28**2 * 256 + 14**2 * 512 + 7**2 * 512
    assert numbers == 224**2 * 3 + convolutions + pools + 4096 + 4096 + 1000 == 15_237_608
    assert numbers + convolutions == 28_785_128
    assert row("VGG-16: activations of one image", "about 24M, 96 MB", "15,237,608, 60.95 MB") in PAGE
    assert "28,785,128" in PAGE
    early = sum(vgg16.stage(name).shares["forward_bytes"] for name in ("conv1", "pool1", "conv2", "pool2"))
    assert early > 0.7
    assert row("VGG-16: memory of conv1 to pool2", "most", f"{early:.1%}") in PAGE


def test_vgg16_parameters(vgg16):
    assert vgg16.totals.parameters == 138_357_544
    weights = vgg16.row("fc6").parameters - 4096
    assert weights == vgg16.row("fc6").macs == 7 * 7 * 512 * 4096 == 102_760_448
    assert row("VGG-16: weights of fc6, of 138,357,544 parameters", "102,760,448", f"{weights:,}") in PAGE


def test_reduction_before_5x5():
    direct = totals((28, 28, 192), same(32, 5)).macs
    reduced = totals((28, 28, 192), lambda x: same(32, 5)(same(16, 1)(x))).macs
    assert (direct, reduced) == (120_422_400, 12_443_648)
    assert row("GoogLeNet 3a: 5×5 branch without reduction, MACs", "120,422,400", f"{direct:,}") in PAGE
    assert row("the same with 16 filters of 1×1 before it", "12,443,648", f"{reduced:,}") in PAGE
    report = report_of("googlenet")
    assert report.row("inception_3a_5x5_reduce").macs + report.row("inception_3a_5x5").macs == reduced


def naive(x):
    pool = L.MaxPooling2D(3, 1, padding="same")(x)
    return L.Concatenate()([same(128, 1)(x), same(192, 3)(x), same(96, 5)(x), pool])


def bottlenecks(x):
    pool = same(64, 1)(L.MaxPooling2D(3, 1, padding="same")(x))
    return L.Concatenate()([same(128, 1)(x), same(192, 3)(same(64, 1)(x)), same(96, 5)(same(64, 1)(x)), pool])


def test_bottlenecks_in_a_module():
    before, after = (totals((28, 28, 256), module).macs for module in (naive, bottlenecks))
    assert before == 784 * 256 * (128 + 9 * 192 + 25 * 96) == 854_196_224
    assert after == 784 * (256 * (128 + 3 * 64) + 64 * (9 * 192 + 25 * 96)) == 271_351_808
    # The published number results from counting the 3 x 3 convolution twice.
    assert round((after + 784 * 64 * 9 * 192) / 1e6) == 358
    assert row("module of 128, 192, 96 filters on 28×28×256, naive, MACs", "854M", f"{before:,}") in PAGE
    assert row("the same with bottlenecks of 64 filters", "358M", f"{after:,}") in PAGE


def test_smaller_kernels():
    shape = (17, 17, 32)
    five = totals(shape, same(32, 5))
    two = totals(shape, lambda x: same(32, 3)(same(32, 3)(x)))
    three = totals(shape, same(32, 3))
    flat = totals(shape, lambda x: same(32, (3, 1))(same(32, (1, 3))(x)))
    saved, saved_flat = 1 - two.macs / five.macs, 1 - flat.macs / three.macs
    assert saved == pytest.approx(0.28) == 1 - two.parameters / five.parameters
    assert saved_flat == pytest.approx(1 / 3) == 1 - flat.parameters / three.parameters
    assert field(L.Conv2D(1, 3), L.Conv2D(1, 3)) == field(L.Conv2D(1, 5)) == 5
    assert row("two 3×3 for a 5×5 save", "28 %", f"{100 * saved:.1f} %") in PAGE
    assert row("1×3 and 3×1 for a 3×3 save", "33 %", f"{100 * saved_flat:.1f} %") in PAGE


def test_three_3x3_for_a_7x7():
    channels = 16
    small = totals((14, 14, channels), lambda x: same(channels, 3)(same(channels, 3)(same(channels, 3)(x))))
    assert small.parameters == 3 * 3**2 * channels**2
    assert totals((14, 14, channels), same(channels, 7)).parameters == 7**2 * channels**2
    seen = field(*[L.Conv2D(1, 3, padding="same") for _ in range(3)])
    assert seen == field(L.Conv2D(1, 7)) == 7
    assert row("three 3×3: receptive field", "7×7", f"{seen}×{seen}") in PAGE


def recurrence(*windows):
    """r + (k - 1) j over kernel sizes k, the product j of the strides before them."""
    seen, jump = 1, 1
    for size, stride in windows:
        seen, jump = seen + (size - 1) * jump, jump * stride
    return seen, jump


def test_receptive_field_of_alexnet():
    report = report_of("alexnet")
    convolutions = [(11, 4), (3, 2), (5, 1), (3, 2), (3, 1), (3, 1), (3, 1)]
    assert recurrence(*convolutions) == (163, 16) and recurrence(*convolutions, (3, 2)) == (195, 32)
    assert report.row("conv5").receptive_field == (163, 163) and report.row("conv5").jump == (16, 16)
    assert report.row("pool3").receptive_field == (195, 195) and report.row("pool3").jump == (32, 32)
    # The 6 x 6 fields of pool3 lie in the middle of the image's 227 pixels.
    assert report.row("pool3").offset[0] + 2.5 * 32 == 227 / 2
    assert row("AlexNet: receptive field of pool3", "195×195", "195×195") in PAGE


def test_receptive_field_of_vgg16(vgg16):
    stages = [*[(3, 1)] * 2, (2, 2), *[(3, 1)] * 2, (2, 2), *([*[(3, 1)] * 3, (2, 2)] * 3)]
    assert recurrence(*stages) == (212, 32)
    assert vgg16.row("pool5").receptive_field == (212, 212) and vgg16.row("pool5").jump == (32, 32)
    assert vgg16.row("fc6").receptive_field == (212 + 6 * 32,) * 2
    assert row("VGG-16: receptive field of pool5", "212×212", "212×212") in PAGE


def test_receptive_field_of_resnet50_takes_the_longest_path():
    """Only 3 x 3 convolutions and conv1, pool1 widen it: 3, 4, 6, 3 of them; strides are in the 1 x 1 before them."""
    stages = [(7, 2), (3, 2), *[(3, 1)] * 3, (1, 2), *[(3, 1)] * 4, (1, 2), *[(3, 1)] * 6, (1, 2), *[(3, 1)] * 3]
    seen, jump = recurrence(*stages)
    last = report_of("resnet50").row("conv5_3_relu")
    assert last.receptive_field == (seen, seen) and last.jump == (jump, jump) == (32, 32)
