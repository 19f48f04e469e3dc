"""Keras classifiers that were made without kerascnn: from their files to predictions, exports and scores."""

import keras
import numpy as np
import pytest
from PIL import Image

import kerascnn
from kerascnn import InputError
from kerascnn.evaluation import ModelOptions
from kerascnn.evaluation.keras_models import as_classifier
from kerascnn.evaluation.model_options import read_labels
from kerascnn.export import deployable, export
from kerascnn.export.exporter import FORMATS
from kerascnn.export.onnx_file import write_onnx
from kerascnn.export.tflite import write_tflite
from support.messages import mentioning, names

layers = keras.layers
NAMES = ("black", "white")


def head(*more, classes=2, activation="softmax", size=(16, 20), channels=3, **dense):
    """A small network made layer by layer, as in Keras' guides, with `more` layers in front."""
    return keras.Sequential(
        [
            keras.Input((*size, channels)),
            *more,
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes, activation=activation, **dense),
        ]
    )


def backbone(name="backbone"):
    """As of keras.applications' MobileNet, for images of any size, with batch normalization."""
    pixels = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, use_bias=False, name="conv1")(pixels)
    x = layers.ReLU(6.0, name="conv1_relu")(layers.BatchNormalization(name="conv1_bn")(x))
    x = layers.DepthwiseConv2D(3, use_bias=False, name="conv_dw")(x)
    model = keras.Model(pixels, layers.ReLU(6.0, name="out")(layers.BatchNormalization(name="dw_bn")(x)), name=name)
    for name in ("conv1_bn", "dw_bn"):
        scales = np.random.default_rng(0).uniform(0.5, 1.5, (4, 4))
        model.get_layer(name).set_weights(list(scales))
    return model


def transfer():
    """Transfer learning as in Keras' guide: augmentation, scaling by operations, a frozen backbone, dropout."""
    base = backbone()
    base.trainable = False
    pixels = keras.Input((16, 20, 3))
    x = keras.Sequential([layers.RandomRotation(0.2), layers.RandomFlip()], name="augmentation")(pixels)
    x = layers.Normalization(mean=[1.0, 0.0, 2.0], variance=[2.0, 1.0, 1.0])(x / 127.5 - 1.0)
    x = layers.GlobalAveragePooling2D()(base(x, training=False))
    return keras.Model(pixels, layers.Dense(2, activation="softmax", name="conv1")(layers.Dropout(0.2)(x)))


def siblings():
    """Two backbones whose layers have the same names, and a softmax in a model of its own."""
    pixels = keras.Input((16, 20, 3))
    x = layers.Rescaling(1 / 255)(pixels)
    x = layers.Concatenate()([backbone("one")(x), backbone("two")(x)])
    last = keras.Sequential([keras.Input((8,)), layers.Dense(2, activation="softmax", name="out")])
    return keras.Model(pixels, last(layers.GlobalAveragePooling2D(name="conv1")(x)))


def mixed():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return transfer()
    finally:
        keras.config.set_dtype_policy(before)


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.backbone, self.pool, self.logits = backbone(), layers.GlobalAveragePooling2D(), layers.Dense(2)

    def call(self, inputs, training=True):
        return self.logits(self.pool(self.backbone(inputs / 255.0, training=training)))


class WithTensorFlow(keras.Model):
    """Neither its graph nor its arguments can be seen."""

    def __init__(self, convolution):
        super().__init__()
        self.convolution, self.logits = convolution, layers.Dense(2, activation="softmax")

    def call(self, inputs):
        import tensorflow as tf

        return self.logits(tf.reduce_mean(self.convolution(tf.cast(inputs, tf.float32) / 255.0), axis=(1, 2)))


def called(model):
    model(np.zeros((1, 16, 20, 3), "float32"))
    return model


MODELS = {
    "sequential": lambda: head(layers.Rescaling(1 / 255)),
    "transfer": transfer,
    "nested in a sequential": lambda: head(layers.RandomZoom(0.1), layers.Rescaling(1 / 255), backbone()),
    "mixed precision": mixed,
    "subclassed": lambda: called(Subclassed()),
    "with functions of TensorFlow": lambda: called(WithTensorFlow(layers.Conv2D(4, 3))),
    "backbones with equal layers": siblings,
    "integer input": lambda: keras.Model(
        pixels := keras.Input((16, 20, 3), dtype="uint8"), head(layers.Rescaling(1 / 255))(pixels)
    ),
    "fixed batch": lambda: keras.Model(
        pixels := keras.Input(batch_shape=(1, 16, 20, 3)), head(layers.Rescaling(1 / 255))(pixels)
    ),
}


@pytest.fixture
def images():
    return np.random.default_rng(1).uniform(0, 255, (3, 16, 20, 3)).astype("float32")


def own_probabilities(model, images):
    outputs = np.asarray(keras.ops.cast(model(images, training=False), "float32"))
    return outputs if np.allclose(outputs.sum(axis=1), 1, atol=0.01) else np.asarray(keras.ops.softmax(outputs))


@pytest.mark.parametrize("kind", MODELS)
def test_the_deployable_network_is_the_same_function_in_few_layers(kind, images):
    keras.utils.set_random_seed(1)
    model = MODELS[kind]()
    expected = np.concatenate([own_probabilities(model, image[None]) for image in np.round(images)])
    read = as_classifier(model, ModelOptions(NAMES))
    small = deployable(read)
    np.testing.assert_allclose(small(np.round(images)), expected, atol=0.01 if kind == "mixed precision" else 1e-5)
    kept = {type(layer).__name__ for layer in small.layers}
    assert not {name for name in kept if name.startswith(("Random", "Dropout", "BatchNormalization", "Functional"))}
    assert ("WithTensorFlow" in kept) == (kind == "with functions of TensorFlow")
    # The model itself is as it was.
    again = np.concatenate([own_probabilities(model, image[None]) for image in np.round(images)])
    np.testing.assert_array_equal(again, expected)


def test_every_random_layer_that_is_removed_does_nothing_in_inference(images):
    from kerascnn.export.inference_network import TRAINING_ONLY

    random = [kind for kind in TRAINING_ONLY if kind.__module__.startswith("keras.src.layers.preprocessing")]
    assert layers.RandomFlip in random and layers.RandomCrop not in random and len(random) > 20
    arguments = {layers.RandomTranslation: (0.2, 0.2), layers.RandomPosterization: (4,)}
    plain = (layers.RandomRotation, layers.RandomZoom, layers.RandomBrightness, layers.RandomContrast, layers.RandomHue)
    plain += (layers.RandomSaturation, layers.RandomSharpness, layers.RandomColorDegeneration)
    for kind in random:
        layer = kind(*arguments.get(kind, (0.2,) if kind in plain else ()))
        np.testing.assert_array_equal(layer(images, training=False), images)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for name, value in zip(NAMES, (20, 235), strict=True):
        (folder / name).mkdir()
        for number in range(10):
            Image.new("RGB", (40, 30 + number), (value, value, value - number)).save(folder / name / f"{number}.png")
    return folder


def brightness(activation, units, scale=1 / 255):
    """Logits 10 (mean brightness - 0.5) for white, and nothing for black."""
    model = head(*([layers.Rescaling(scale)] if scale else []), classes=units, activation=activation)
    kernel = np.zeros((3, 3, 3, 4))
    kernel[1, 1, :, 0] = 1 / 3
    weights = np.zeros((4, units))
    weights[0, -1] = 10.0
    model.set_weights([kernel, np.zeros(4), weights, np.eye(units)[-1] * -5.0])
    return model


FILES = {
    "softmax.keras": ("softmax", 2),
    "logits.h5": (None, 2),
    "sigmoid.h5": ("sigmoid", 1),
    "logit.keras": (None, 1),
    "saved_model": (None, 2),
}


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_predicted_and_evaluated(file, photos, command, tmp_path):
    path, model = tmp_path / file, brightness(*FILES[file])
    model.export(path, verbose=False) if file == "saved_model" else model.save(path)
    (tmp_path / "labels.txt").write_text("black\nwhite\n")
    named = ("--labels", tmp_path / "labels.txt")
    outcome = command("predict", path, photos / "white" / "0.png", "--csv", *named)
    assert outcome.status == 0
    expected = 1 / (1 + np.exp(-10 * (235 / 255 - 0.5)))
    assert float(outcome.out.splitlines()[1].split(",")[3]) == pytest.approx(expected, abs=1e-4)
    assert "softmax follows" in outcome.err or FILES[file] != (None, 2)
    assert "second class" in outcome.err or FILES[file][1] == 2
    outcome = command("evaluate", path, "--data", photos, "--split", "all", *named, "--json")
    assert outcome.status == 0 and '"accuracy": 1.0' in outcome.out
    unnamed = command("evaluate", path, "--data", photos, "--split", "all")
    assert unnamed.status == 2
    names(unnamed.err, "no class names", "'black', 'white'", "2 outputs; give --labels FILE")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mixed precision", "logit"])
def test_export_verifies_every_file(kind, photos, tmp_path):
    model = brightness(None, 1) if kind == "logit" else mixed()
    loaded = kerascnn.data.load_labeled(photos)
    wanted = {} if kind == "logit" else {"formats": FORMATS, "quantize": ["none", "int8"]}
    made = export(model, loaded, tmp_path / "mine", class_names=NAMES, **wanted)
    assert made.verification.failures == [] and len(made.verification.results) == (3 if kind == "logit" else 6)
    card = (made.folder / "model_card.md").read_text()
    names(card, "black, white", "Whether the model was trained on them is not known")
    assert "trained from scratch" not in card and "Made with" not in card
    if kind == "mixed precision":
        with mentioning(InputError, "mine.keras", "exported"):
            export(made.folder / "mine.keras", loaded, tmp_path / "again")
    found = kerascnn.load(made.folder / "mine.tflite").predict(photos / "white" / "1.png")
    assert kind == "mixed precision" or found[0].top[0][0] == "white"


def test_explanations_and_features(photos):
    model = kerascnn.load(brightness("sigmoid", 1), class_names=NAMES)
    assert model.embed(photos / "white").features.shape == (10, 4)
    [explained] = model.explain(photos / "white" / "1.png", top=2)
    assert [one.label for one in explained.classes] == ["white", "black"]
    # More brightness is less black, which Grad-CAM cuts off; the sigmoid is flat there, and its logit is not.
    assert explained.classes[0].heat.min() > 0.01 and explained.classes[1].heat.max() == 0
    nested = kerascnn.load(transfer(), class_names=NAMES)
    assert nested.explain(photos / "white" / "1.png")[0].layer == "out"


@pytest.mark.parametrize(("scaling", "low", "high"), [("unit", 0, 1), ("symmetric", -1, 1), ("none", 0, 255)])
def test_scaling_that_was_outside_the_model(scaling, low, high, capsys):
    """Of the model, the values that it takes for black and white; of the reading, pixels 0 and 255."""
    model = head(size=(8, 8))
    read = as_classifier(model, ModelOptions(NAMES, scaling=scaling))
    taken = np.stack([np.full((8, 8, 3), value, "float32") for value in (low, high)])
    pixels = np.stack([np.full((8, 8, 3), value, "float32") for value in (0, 255)])
    np.testing.assert_allclose(read(pixels), model(taken), atol=1e-5)
    assert "assumed" not in capsys.readouterr().err


def test_scaling_as_of_keras_applications(images):
    model = head()
    for mode in ("torch", "caffe"):
        read = as_classifier(model, ModelOptions(NAMES, scaling=mode))
        scaled = keras.applications.imagenet_utils.preprocess_input(images.copy(), mode=mode)
        np.testing.assert_allclose(read(images), model(scaled), atol=1e-5)


SAID = {
    "assumed": (lambda: head(), "RGB pixels from 0 to 255"),
    "gray": (lambda: head(channels=1), "gray pixels from 0 to 255"),
    "logits": (lambda: brightness(None, 2), "a softmax follows"),
    "one logit": (lambda: brightness(None, 1), "a sigmoid follows"),
    "sigmoids": (lambda: head(activation="sigmoid", classes=3), "an image has each class from 0.5 on"),
    "no names": (lambda: head(), "class 0, class 1"),
}


@pytest.mark.parametrize("case", SAID)
def test_what_is_assumed_is_said_in_a_sentence(case, capsys):
    model, sentence = SAID[case]
    metadata = kerascnn.load(model()).predictor.metadata
    names(capsys.readouterr().err, sentence)
    assert metadata.multi_label == (case == "sigmoids")


REFUSED = {
    "two inputs": (
        lambda: keras.Model([a := keras.Input((8, 8, 3)), b := keras.Input((8, 8, 3))], head(size=(8, 8))(a + b)),
        {},
        "one size",
    ),
    "two outputs": (
        lambda: keras.Model(x := keras.Input((8, 8, 3)), [head(size=(8, 8))(x), head(size=(8, 8))(x)]),
        {},
        "one size",
    ),
    "channels first": (lambda: keras.Sequential([keras.Input((3, 16, 20)), layers.Flatten()]), {}, "(3, 16, 20)"),
    "a class for every place": (
        lambda: keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 3)]),
        {},
        "(6, 6, 2)",
    ),
    "no size": (lambda: head(size=(None, None)), {}, "--image-size"),
    "another size": (lambda: head(), {"image_size": 32}, "16 x 20, not 32 x 32"),
    "never built": (lambda: keras.Sequential([layers.Flatten(), layers.Dense(2)]), {}, "--image-size"),
    "too few names": (lambda: head(), {"class_names": ["a"]}, "do not fit"),
    "one name for a sigmoid": (lambda: head(classes=1, activation="sigmoid"), {"class_names": ["a"]}, "near 0, then"),
    "softmax over one": (lambda: head(classes=1), {}, "always 1"),
    "not normalized": (lambda: head(layers.Rescaling(1 / 255), activation="hard_sigmoid"), {}, "add up to 1"),
    "not finite": (lambda: head(layers.Rescaling(np.inf)), {}, "not finite"),
    "scaling": (lambda: head(), {"scaling": "tf"}, "must be one of"),
    "colors of gray": (lambda: head(channels=1), {"scaling": "caffe"}, "gray"),
    "no image": (lambda: keras.Sequential([keras.Input((8,)), layers.Dense(2)]), {}, "RGB or gray images"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_classifier_is_one_sentence(case):
    model, options, part = REFUSED[case]
    model = model()
    with mentioning(InputError, part) as raised:
        kerascnn.load(model, **options)
    assert "\n" not in str(raised.value)


def test_any_size_gets_one():
    model = kerascnn.load(head(size=(None, None), channels=1), image_size=(12, 18), class_names=NAMES, scaling="unit")
    assert (model.input_size, model.channels) == ((12, 18), 1)
    assert len(model.predict(np.zeros((40, 40), "uint8"))[0].top) == 2


def test_a_model_that_names_its_classes_keeps_them(tmp_path):
    as_classifier(head(), ModelOptions(NAMES, scaling="unit")).save(tmp_path / "named.keras")
    assert kerascnn.load(tmp_path / "named.keras", class_names=NAMES).class_names == NAMES
    for options, part in (
        ({"class_names": ["a", "b"]}, "black"),
        ({"image_size": 9}, "16 x 20"),
        ({"scaling": "unit"}, "none"),
    ):
        with mentioning(InputError, part):
            kerascnn.load(tmp_path / "named.keras", **options)


def test_code_that_is_missing_is_named(tmp_path):
    called(Subclassed()).save(tmp_path / "own.keras")
    keras.saving.get_custom_objects().pop("tests>Subclassed")
    try:
        with mentioning(InputError, "own.keras", "Subclassed", "import"):
            kerascnn.load(tmp_path / "own.keras")
    finally:
        keras.saving.register_keras_serializable("tests")(Subclassed)


def test_files_that_cannot_be_opened_as_models(tmp_path):
    import tensorflow as tf

    head().save_weights(tmp_path / "only.weights.h5")
    head(layers.Lambda(lambda x: x / 255)).save(tmp_path / "code.keras")
    module = tf.Module()
    pixels = tf.TensorSpec((None, 8, 8, 3), tf.float32)
    module.add = tf.function(lambda a, b: {"sum": a + b}, input_signature=[pixels, pixels])
    tf.saved_model.save(tf.Module(), str(tmp_path / "none"))
    tf.saved_model.save(module, str(tmp_path / "two"), signatures={"serving_default": module.add})
    parts = {"only.weights.h5": "only weights", "code.keras": "safe_mode", "none": "no such", "two": "more tensors"}
    for name, part in parts.items():
        with mentioning(InputError, name, part):
            kerascnn.load(tmp_path / name)


@pytest.mark.parametrize("write", [write_tflite, write_onnx])
def test_a_converter_that_fails_says_so_in_a_sentence(write, tmp_path):
    model = head(layers.Lambda(lambda x: keras.ops.cast(keras.ops.linalg.svd(x, False, False), "float32")[..., None]))
    network = deployable(as_classifier(model, ModelOptions(NAMES, scaling="none")))
    with mentioning(InputError, model.name, "cannot be converted") as raised:
        write(network, tmp_path / "model")
    assert "\n" not in str(raised.value) and str(tmp_path) not in str(raised.value)


def test_a_saved_model_is_not_exported_again(command, photos, tmp_path):
    brightness("softmax", 2).export(tmp_path / "saved", verbose=False)
    outcome = command("export", tmp_path / "saved", "--data", photos)
    assert outcome.status == 2
    names(outcome.err, "SavedModel", "Keras model")


@pytest.mark.parametrize("text", ["cat\ndog\n", '["cat", "dog"]', "\ufeffcat\r\ndog"])
def test_files_of_labels(text, tmp_path):
    (tmp_path / "labels").write_text(text, encoding="utf-8")
    assert read_labels(tmp_path / "labels") == ("cat", "dog")


@pytest.mark.parametrize("text", ["", "cat\n\ndog", "cat\ncat", '["cat", 1]', '{"cat": 0}', "[", '["cat", ""]'])
def test_files_that_are_no_labels(text, tmp_path):
    (tmp_path / "labels").write_text(text)
    with mentioning(InputError, tmp_path / "labels"):
        read_labels(tmp_path / "labels")


@pytest.mark.parametrize("given", ["ab", [], ["a", "a"], ["a", ""], ["a\nb", "c"], {"a": 0}, {"a", "b"}, [None, "a"]])
def test_names_in_python_that_are_no_class_names(given):
    with mentioning(InputError, "class_names"):
        ModelOptions(given)


@pytest.mark.parametrize("given", [0, -1, "16", (16,) * 3, 16.0, (16, "20")])
def test_sizes_in_python_that_are_no_image_size(given):
    with mentioning(InputError, "image_size", repr(given)):
        ModelOptions(image_size=given)


def test_options_in_python_are_brought_to_one_form():
    options = ModelOptions(np.array(NAMES), (np.int64(32), 32))
    assert options == ModelOptions(NAMES, 32)
    options.check("model.keras", NAMES, 32)


def test_export_takes_a_name_of_a_run_and_refuses_other_data(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with mentioning(InputError, "kerascnn.data.load", "'digits'"):
        export("runs/last", "digits", tmp_path / "exported", formats="tflite")
    with mentioning(InputError, "there is no run in runs"):
        export("runs/last", kerascnn.data.load_labeled(photos), tmp_path / "exported")
