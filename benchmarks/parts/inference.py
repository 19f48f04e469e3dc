"""Predictions of batches in memory, beside keras.applications', PyTorch's and ONNX Runtime's, in float32."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.exported import exported, images_of
from benchmarks.part import Contestant, Measure, Options, Part, Row, chosen
from benchmarks.timing import rate

# kerascnn's name, keras.applications', the image size.
NETWORKS = {"resnet50": ("ResNet50", 224), "inceptionv3": ("InceptionV3", 299), "vgg16": ("VGG16", 224)}
BATCHES = (32, 1)


def rows(options: Options) -> Iterator[Row]:
    """Every network and batch, by Keras' `predict`, as a SavedModel, and by `kerascnn.load(…).predict`."""
    for name in chosen(options.networks, NETWORKS, "network"):
        keras_name, size = NETWORKS[name]
        for batch in options.batches or BATCHES:
            common = {"batch": batch, "size": options.image_size or size, "seconds": options.seconds}
            ours = common | {"network": name}
            keras = Contestant("keras.applications, predict", keras_predict, common | {"network": keras_name}, (), 1.2)
            eager, compiled = (
                Contestant(
                    f"PyTorch, {how}",
                    torch_forward,
                    ours | {"compiled": how == "compiled"},
                    ("torch", "torchvision"),
                    1.0,
                )
                for how in ("eager", "compiled")
            )
            onnx = Contestant("ONNX Runtime", onnx_session, ours, ("onnxruntime", "tf2onnx"), 0.9)
            # Those that take long to prepare are compared once.
            for how, first, peers in (
                ("SavedModel", saved_model, (keras, eager, compiled, onnx)),
                ("predict", kerascnn_predict, (keras, eager)),
                ("kerascnn.load", loaded, (keras, eager)),
            ):
                yield Row(f"{name}, {how}, batch {batch}", "images/s", (Contestant("kerascnn", first, ours), *peers))


def kerascnn_predict(network: str, size: int, batch: int, seconds: float) -> Measure:
    import keras

    return _predict(keras.models.load_model(exported("keras", network, size)), size, batch, seconds)


def keras_predict(network: str, size: int, batch: int, seconds: float) -> Measure:
    import keras

    model = getattr(keras.applications, network)(weights=None, input_shape=(size, size, 3))
    return _predict(model, size, batch, seconds)


def _predict(model, size: int, batch: int, seconds: float) -> Measure:
    images = images_of(batch, size)
    return rate(lambda: model.predict(images, batch_size=batch, verbose=0), batch, seconds)


def saved_model(network: str, size: int, batch: int, seconds: float) -> Measure:
    import tensorflow as tf

    model, images = tf.saved_model.load(str(exported("savedmodel", network, size))), images_of(batch, size)
    serve = model.signatures["serve"]
    return rate(lambda: serve(pixels=tf.constant(images))["probabilities"].numpy(), batch, seconds)


def loaded(network: str, size: int, batch: int, seconds: float) -> Measure:
    """The same file behind `kerascnn.load`, which takes images of any size: they are resized and cropped, too."""
    import kerascnn

    model, images = kerascnn.load(exported("savedmodel", network, size)), images_of(batch, size).astype("uint8")
    return rate(lambda: model.predict(images), batch, seconds)


def torch_forward(network: str, size: int, batch: int, compiled: bool, seconds: float) -> Measure:
    import torch

    from benchmarks import torch_networks
    from kerascnn.cores import cores

    torch.set_num_threads(cores())
    model = torch_networks.create(network, 1000).to(memory_format=torch.channels_last).eval()
    forward = torch.compile(model) if compiled else model
    images = torch.from_numpy(images_of(batch, size)).permute(0, 3, 1, 2)

    def step():
        with torch.inference_mode():
            return forward(images)

    return rate(step, batch, seconds)


def onnx_session(network: str, size: int, batch: int, seconds: float) -> Measure:
    import onnxruntime

    session = onnxruntime.InferenceSession(exported("onnx", network, size), providers=["CPUExecutionProvider"])
    images, name = images_of(batch, size), session.get_inputs()[0].name
    return rate(lambda: session.run(None, {name: images}), batch, seconds)


PART = Part(
    "batches of 32 and 1 beside keras.applications, PyTorch and ONNX Runtime",
    ("networks", "batches", "image_size", "seconds"),
    rows,
)
