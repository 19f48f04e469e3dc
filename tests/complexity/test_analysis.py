"""Costs of single layers and small networks, compared with closed forms, TensorFlow's own counts and gradients."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerascnn import InputError
from kerascnn.applications import create
from kerascnn.complexity import analyze, analyze_by_name
from kerascnn.complexity.report import stage_of
from kerascnn.layers import BatchNormalization, ClassLabels, LocalResponseNormalization, Preprocessing
from support.messages import mentioning
from support.networks import report_of, without_values

L = keras.layers


def chain(shape, *layers):
    inputs = x = keras.Input(shape, name="pixels")
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize(
    ("layer", "macs", "parameters"),
    [
        # 28 x 28 outputs, each of 5 * 5 * 192 products, 32 filters.
        (L.Conv2D(32, 5, padding="same"), 28 * 28 * 32 * 25 * 192, 25 * 192 * 32 + 32),
        (L.Conv2D(32, 5), 24 * 24 * 32 * 25 * 192, 25 * 192 * 32 + 32),
        (L.Conv2D(32, (1, 7), strides=2, padding="same", use_bias=False), 14 * 14 * 32 * 7 * 192, 7 * 192 * 32),
        # A filter of one of 4 groups sees a quarter of the channels.
        (L.Conv2D(32, 3, padding="same", groups=4), 28 * 28 * 32 * 9 * 48, 9 * 48 * 32 + 32),
        # A kernel of 3 dilated by 2 spans 5.
        (L.Conv2D(32, 3, dilation_rate=2), 24 * 24 * 32 * 9 * 192, 9 * 192 * 32 + 32),
        (L.DepthwiseConv2D(3, padding="same", depth_multiplier=2), 28 * 28 * 384 * 9, 9 * 384 + 384),
        (
            L.SeparableConv2D(32, 3, padding="same", depth_multiplier=2),
            28 * 28 * (384 * 9 + 384 * 32),
            9 * 384 + 384 * 32 + 32,
        ),
        # On a map, a dense layer is a 1 x 1 convolution.
        (L.Dense(10), 28 * 28 * 192 * 10, 1930),
        (BatchNormalization(), 0, 4 * 192),
        (L.BatchNormalization(), 0, 4 * 192),
        (L.MaxPooling2D(2), 0, 0),
        (LocalResponseNormalization(), 0, 0),
    ],
)
def test_multiply_adds_and_parameters(layer, macs, parameters):
    row = analyze(chain((28, 28, 192), layer)).rows[-1]
    assert (row.macs, row.parameters) == (macs, parameters)


def tensorflows_count(model):
    """Multiply-adds of convolutions and matrix products, as TensorFlow itself counts them: half its FLOPs."""
    from tensorflow.python.framework import ops

    images = tf.TensorSpec((1, *model.input_shape[1:]))
    graph = tf.function(lambda x: model(x, training=False), autograph=False).get_concrete_function(images).graph
    counted = ("Conv2D", "DepthwiseConv2dNative", "MatMul")
    nodes = [operation.node_def for operation in graph.get_operations() if operation.type in counted]
    return sum(ops.get_stats_for_node_def(graph, node, "flops").value for node in nodes) / 2


@pytest.mark.parametrize(("name", "size"), [("googlenet", 72), ("resnet50", 64), ("alexnetv2", 63)])
def test_multiply_adds_are_those_that_tensorflow_counts(name, size):
    model = create(name, input_shape=(size, size, 3), classes=7)
    assert analyze(model).totals.macs == tensorflows_count(model)


@pytest.mark.parametrize(
    ("layers", "size", "jump", "offset"),
    [
        # Each 3 x 3 adds 2; with padding the first unit stays at the first pixel.
        ([L.Conv2D(1, 3, padding="same") for _ in range(3)], (7, 7), (1, 1), (0.5, 0.5)),
        ([L.Conv2D(1, 3) for _ in range(3)], (7, 7), (1, 1), (3.5, 3.5)),
        # 7, then 2 steps of 2 more: 7 + 2 * 2 = 11; TensorFlow pads 2 before and 3 after, then 0 and 1.
        ([L.Conv2D(1, 7, 2, padding="same"), L.MaxPooling2D(3, 2, padding="same")], (11, 11), (4, 4), (3.5, 3.5)),
        ([L.ZeroPadding2D(3), L.Conv2D(1, 7, 2)], (7, 7), (2, 2), (0.5, 0.5)),
        ([L.ZeroPadding2D(((1, 0), (2, 5))), L.AveragePooling2D(2)], (2, 2), (2, 2), (0, -1)),
        ([L.AdaptiveAveragePooling2D(4)], (8, 8), (8, 8), (4, 4)),
        # Of 32 pixels, 5 units see 0 to 7, 6 to 13, 12 to 20, 19 to 26, 25 to 32.
        ([L.AdaptiveAveragePooling2D(5)], (8, 8), (6, 6), (4, 4)),
        ([L.Conv2D(1, (1, 3)), L.Conv2D(1, (3, 1)), L.Conv2D(1, (1, 3))], (3, 5), (1, 1), (1.5, 2.5)),
        ([L.Conv2D(1, 3, dilation_rate=2), L.Conv2D(1, 3, 2)], (7, 7), (2, 2), (3.5, 3.5)),
        # A unit that sees all 32 x 32 of a 3 x 3 convolution's units sees 34 x 34 with the padding.
        ([L.Conv2D(1, 3, padding="same"), L.GlobalAveragePooling2D()], (34, 34), None, (16, 16)),
        ([L.Conv2D(1, 3), L.Flatten(), L.Dense(2)], (32, 32), None, (16, 16)),
    ],
)
def test_receptive_fields(layers, size, jump, offset):
    row = analyze(chain((32, 32, 1), *layers)).rows[-1]
    assert (row.receptive_field, row.jump, row.offset) == (size, jump, offset)


def seen_by_gradient(model, position):
    """First pixel, and the one after the last, that a unit's gradient reaches on both axes."""
    images = tf.Variable(tf.ones((1, *model.input_shape[1:])))
    with tf.GradientTape() as tape:
        unit = model(images)[0, position, position, 0]
    reached = np.argwhere(np.abs(tape.gradient(unit, images).numpy()[0]).sum(axis=-1))
    return [(low, high + 1) for low, high in zip(reached.min(axis=0), reached.max(axis=0), strict=True)]


def branching(x):
    """An Inception module and a residual block, of positive weights."""
    unit = {"padding": "same", "kernel_initializer": "ones"}
    small = L.Conv2D(2, 1, **unit)(x)
    large = L.Conv2D(2, 5, **unit)(L.Conv2D(1, 1, **unit)(x))
    pool = L.AveragePooling2D(3, 1, padding="same")(x)
    x = L.Concatenate()([small, large, pool])
    y = L.Conv2D(4, 3, strides=2, **unit)(x)
    return L.Add()([y, L.Conv2D(4, 1, strides=2, **unit)(x)])


@pytest.mark.parametrize("size", [60, 61])
def test_receptive_field_is_what_the_gradient_reaches(size):
    inputs = keras.Input((size, size + 4, 2))
    x = L.Conv2D(2, (3, 7), strides=2, padding="same", kernel_initializer="ones")(inputs)
    model = keras.Model(inputs, branching(L.AveragePooling2D(2)(x)))
    row = analyze(model).rows[-1]
    for position in (3, 4):
        for (low, high), field, jump, offset in zip(
            seen_by_gradient(model, position), row.receptive_field, row.jump, row.offset, strict=True
        ):
            assert (low + high) / 2 == offset + position * jump
            assert high - low == field


def saved(model):
    return {row.name: row.saved_bytes // 4 for row in analyze(model).rows if row.saved_bytes}


def forward(model):
    return {row.name: row.forward_bytes // 4 for row in analyze(model).rows if row.forward_bytes}


def test_outputs_saved_for_the_backward_pass():
    model = chain(
        (8, 8, 3),
        L.Conv2D(4, 3, padding="same", name="conv1"),
        BatchNormalization(name="conv1_bn"),
        L.Activation("relu", name="conv1_relu"),
        L.MaxPooling2D(2, name="pool1"),
        L.Conv2D(5, 3, padding="same", activation="tanh", name="conv2"),
        L.AveragePooling2D(2, name="pool2"),
        L.Flatten(name="flatten"),
        L.Dense(6, activation="gelu", name="fc1"),
        L.Dense(2, name="fc2"),
        L.Activation("softmax", name="predictions"),
    )
    assert saved(model) == {
        "pixels": 8 * 8 * 3,  # conv1's input
        "conv1": 8 * 8 * 4,  # the input of batch normalization, whose output no gradient needs
        "conv1_relu": 8 * 8 * 4,  # its own output, and pool1's input
        "pool1": 4 * 4 * 4,  # own output, and conv2's input
        "conv2": 4 * 4 * 5,  # tanh's output
        "pool2": 2 * 2 * 5,  # what fc1 reads after flattening
        "fc1": 6 + 6,  # before the activation, and fc2's input
        "predictions": 2,
    }
    # One map for convolution, normalization and ReLU together.
    outputs = {"pixels": 192, "conv1": 256, "pool1": 64, "conv2": 80, "pool2": 20, "fc1": 6, "fc2": 2}
    assert forward(model) == outputs


def test_frozen_layers_save_nothing():
    model = chain((8, 8, 3), L.Conv2D(4, 1, name="conv1"), L.Activation("relu"), L.Conv2D(2, 1, name="conv2"))
    model.get_layer("conv1").trainable = False
    assert list(saved(model).values()) == [8 * 8 * 4]
    rows = analyze(model)
    assert (rows.row("conv1").trainable, rows.row("conv1").non_trainable) == (0, 16)
    model.trainable = False
    assert saved(model) == {}


def test_dropout_saves_one_byte_per_number():
    model = chain((10,), L.Dense(8, name="fc"), L.Dropout(0.5, name="half"), L.Dropout(0.0), L.Dense(2))
    rows = analyze(model)
    assert rows.row("fc").saved_bytes == 0
    assert rows.row("half").saved_bytes == 8 * 4 + 8
    assert rows.row("half").forward_bytes == 0
    assert rows.row("fc").receptive_field is None


def test_an_activation_overwrites_only_what_no_other_layer_reads():
    inputs = keras.Input((4, 4, 2))
    x = L.Conv2D(2, 1, name="conv")(inputs)
    outputs = L.Add(name="add")([L.Activation("relu", name="relu")(x), x])
    assert analyze(keras.Model(inputs, outputs)).row("relu").forward_bytes == 4 * 4 * 2 * 4
    both = keras.Model(inputs, [x, L.Activation("relu", name="relu")(x)])
    assert analyze(both).row("relu").forward_bytes == 4 * 4 * 2 * 4
    # The image belongs to the caller.
    assert analyze(chain((4, 4, 2), L.Activation("relu", name="relu"))).row("relu").forward_bytes == 4 * 4 * 2 * 4


def test_16_bit_numbers_take_half_the_memory():
    whole, half = report_of("resnet20"), analyze(create("resnet20", dtype="mixed_bfloat16"))
    assert half.row("conv2_1_1").forward_bytes * 2 == whole.row("conv2_1_1").forward_bytes
    assert half.row("predictions").forward_bytes == 10 * 4
    assert half.totals.macs == whole.totals.macs


def test_channels_first_costs_the_same():
    names = ("googlenet", "resnet20")
    last = [analyze_by_name(name) for name in names]
    keras.config.set_image_data_format("channels_first")
    try:
        first = [analyze_by_name(name) for name in names]
    finally:
        keras.config.set_image_data_format("channels_last")
    for one, other in zip(first, last, strict=True):
        assert one.row("conv1").output_shape != other.row("conv1").output_shape
        assert one.totals == other.totals
        for ours, theirs in zip(one.rows, other.rows, strict=True):
            assert (ours.receptive_field, ours.offset) == (theirs.receptive_field, theirs.offset)


def test_by_name_is_the_same_report():
    assert analyze_by_name("resnet20", shortcut="B") == analyze(create("resnet20", shortcut="B"))


def test_a_trained_model_with_preprocessing_and_labels():
    pixels = keras.Input((32, 32, 3), name="pixels")
    network = create("resnet20", input_tensor=Preprocessing((3,), name="preprocessing")(pixels), classes=2)
    model = keras.Model(pixels, ClassLabels(["a", "b"], name="labels")(network.output))
    report = analyze(model)
    assert report.row("labels").forward_bytes == report.row("labels").saved_bytes == 0
    assert report.row("preprocessing").non_trainable == 3
    assert report.row("pixels").saved_bytes == 0 and report.row("preprocessing").saved_bytes == 32 * 32 * 3 * 4
    assert report.totals.trainable == report_of("resnet20", classes=2).totals.trainable


def test_layers_of_branches_and_heads_follow_each_other():
    names = [row.name for row in report_of("googlenet", aux_heads=True).rows]
    head = names.index("inception_4a") + 1
    after = names.index("inception_4b_1x1")
    assert names[head] == "aux_4a_pool" and names[after - 1] == "aux_4a_fc2"
    assert all(name.startswith("aux_4a") for name in names[head:after])
    branch = names.index("inception_3a_5x5_reduce")
    assert names[branch + 2] == "inception_3a_5x5"


def test_models_inside_models():
    inner = chain((8, 8, 4), L.Conv2D(4, 3, padding="same", name="conv1"), L.Activation("relu", name="relu"))
    inner.name = "block"
    inputs = keras.Input((16, 16, 3), name="pixels")
    x = L.Conv2D(4, 2, strides=2, name="conv1")(inputs)
    model = keras.Model(inputs, inner(inner(x)))
    rows = analyze(model).rows
    assert [row.name for row in rows] == ["pixels", "conv1", *["block/conv1", "block/relu"] * 2]
    # The same weights twice are counted once; the work is done twice.
    assert [row.parameters for row in rows] == [0, 52, 148, 0, 0, 0]
    assert [row.macs for row in rows] == [0, 64 * 4 * 12, 64 * 4 * 36, 0, 64 * 4 * 36, 0]
    assert rows[-1].receptive_field == (2 + 4 + 4, 2 + 4 + 4)
    assert [stage.name for stage in analyze(model).stages] == ["pixels", "conv1", "block/conv1", "block/relu"]
    sequence = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(2, 1, name="conv1"), L.Flatten(), L.Dense(2)])
    assert analyze(sequence).totals.macs == 64 * 6 + 128 * 2


def test_models_that_cannot_be_analyzed():
    class Own(L.Layer):
        def call(self, inputs):
            return inputs

    class Free(keras.Model):
        def call(self, inputs):
            return inputs

    with mentioning(InputError, "'mine'", "Own", "Conv2D"):
        analyze(chain((8, 8, 3), Own(name="mine")))
    with mentioning(InputError, "Conv2DTranspose", "cost"):
        analyze(chain((8, 8, 3), L.Conv2DTranspose(2, 3)))
    with mentioning(InputError, "'pixels'", "(None, None, 3)"):
        analyze(create("resnet20", include_top=False, input_shape=(None, None, 3)))
    with mentioning(InputError, "analyze_by_name('resnet18')"):
        analyze("resnet18")
    with mentioning(InputError, "'free'", "graph of layers"):
        analyze(Free(name="free"))
    with mentioning(InputError, "sequential", "graph of layers"):
        analyze(keras.Sequential([L.Dense(2)]))
    with mentioning(InputError, "'resnet21'"):
        analyze_by_name("resnet21")


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("conv1", "conv1"),
        ("conv4_23_2_bn", "conv4"),
        ("conv2_1_shortcut", "conv2"),
        ("conv2_reduce_relu", "conv2"),
        ("inception_3a", "inception_3a"),
        ("inception_4c_5x5_reduce_relu", "inception_4c"),
        ("inception_5b_double_3x3_1", "inception_5b"),
        ("pool5_flatten", "pool5"),
        ("fc6_dropout", "fc6"),
        ("avg_pool", "avg_pool"),
        ("predictions", "predictions"),
        ("aux_4a_fc1", "aux_4a"),
        ("aux_4a", "aux_4a"),
        ("aux_conv1_bn", "aux"),
        ("aux_pool", "aux"),
        ("block/conv1_relu", "block/conv1"),
    ],
)
def test_stages(name, stage):
    assert stage_of(name) == stage


def test_report_as_dict_and_markdown():
    report = report_of("googlenet")
    as_dict = report.to_dict()
    assert as_dict["totals"]["macs"] == sum(layer["macs"] for layer in as_dict["layers"]) == report.totals.macs
    assert as_dict["totals"]["parameters"] == sum(stage["parameters"] for stage in as_dict["stages"]) == 6_998_552
    for key in ("parameters", "macs", "forward_bytes", "saved_bytes"):
        assert sum(stage["shares"][key] for stage in as_dict["stages"]) == pytest.approx(1)
    markdown = report.to_markdown()
    assert "| inception_3a_5x5 | Conv2D | 28x28x32 | 12,832 | 10,035,200 | 100,352 | 0 | 59 | 8 | 7.5 |" in markdown
    assert {len(line.split("|")) for line in markdown.split("\n\n")[0].splitlines()} == {12}
    with pytest.raises(KeyError):
        report.row("conv9")
    with pytest.raises(KeyError):
        report.stage("conv9")


def test_the_analysis_is_fast():
    model = without_values(create, "resnet152", input_shape=(32, 32, 3))
    times = []
    for _ in range(3):
        started = time.perf_counter()
        analyze(model)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.5
