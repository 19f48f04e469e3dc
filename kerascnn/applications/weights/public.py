"""Lists the public weights of the networks here: where they are, and how their images were preprocessed.

keras.applications publishes files whose MD5 is in its program; torchvision's file names contain the first eight digits
of the SHA-256. No more is published, so no more is checked. Accuracies are the publishers', for one center crop of
ImageNet's validation images. Neither publisher states that its weights are free of ImageNet's terms; torchvision leaves
that question to the users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from kerascnn.errors import InputError
from kerascnn.files.checksums import Checksum

KERAS = "keras"
TORCHVISION = "torchvision"
# The first weights that match, from either publisher.
ANY = "imagenet"
NAMES = (ANY, KERAS, TORCHVISION)

CLASSES = 1000

KERAS_URL = "https://storage.googleapis.com/tensorflow/keras-applications"
KERAS_FILE = "weights_tf_dim_ordering_tf_kernels"
KERAS_ACCURACIES = "keras.io/api/applications"
TORCHVISION_URL = "https://download.pytorch.org/models"
TORCHVISION_ACCURACIES = "docs.pytorch.org/vision/stable/models"

OXFORD = "Creative Commons Attribution 4.0 (Visual Geometry Group, Oxford)"
HE = "MIT (Kaiming He)"
GOOGLE = "Apache 2.0 (Google)"
BSD = "BSD 3-Clause (torchvision)"


@dataclass(frozen=True)
class PublicWeights:
    """A file of weights that was published for a network.

    Attributes:
        name: the publisher, and the value of the builder's `weights`: "keras" or "torchvision".
        network: the builder's name.
        url: of the file.
        checksum: as far as it is published.
        license: of the weights, or of the publisher's library.
        preprocessing: how the network's pixels are scaled; one of `preprocessing.MODES`.
        input_size: height and width in pixels.
        top1, top5: published accuracies in percent.
        source: publisher of the accuracies.
        include_top: whether the file has the classifier.
        arguments: the builder's arguments for the file's variant of the network.
        builder: the builder of that variant, which takes none of the arguments; None for the network's own.
    """

    name: str
    network: str
    url: str
    checksum: Checksum
    license: str
    preprocessing: str
    input_size: int
    top1: float
    top5: float
    source: str
    include_top: bool
    arguments: Mapping[str, Any]
    builder: str | None = None

    @property
    def file(self) -> str:
        """The file's name."""
        return urlsplit(self.url).path.rpartition("/")[2]

    def matches(self, given: Mapping[str, Any]) -> bool:
        """Whether the given builder arguments do not contradict `arguments`."""
        return all(given.get(name, value) == value for name, value in self.arguments.items())


def _keras(
    network: str,
    folder: str,
    checksums: tuple[str, str],
    preprocessing: str,
    accuracy: tuple[float, float],
    license: str,
    input_size: int = 224,
    **arguments: Any,
) -> list[PublicWeights]:
    """The two files of a network, with and without classifier."""
    files = []
    for suffix, digits in zip(("", "_notop"), checksums, strict=True):
        url, checksum = f"{KERAS_URL}/{folder}_{KERAS_FILE}{suffix}.h5", Checksum("md5", digits)
        details = (license, preprocessing, input_size, *accuracy, KERAS_ACCURACIES)
        files.append(PublicWeights(KERAS, network, url, checksum, *details, not suffix, MappingProxyType(arguments)))
    return files


def _torchvision(
    network: str,
    file: str,
    top1: float,
    top5: float,
    preprocessing: str = "torch",
    input_size: int = 224,
    builder: str | None = None,
    **arguments: Any,
) -> PublicWeights:
    url, checksum = f"{TORCHVISION_URL}/{file}.pth", Checksum("sha256", file[-8:])
    details = (BSD, preprocessing, input_size, top1, top5, TORCHVISION_ACCURACIES)
    return PublicWeights(TORCHVISION, network, url, checksum, *details, True, MappingProxyType(arguments), builder)


# The variants of the papers and of torchvision.
RESNET = {"shortcut": "B"}
BOTTLENECKS_2015 = RESNET | {"stride_in": "1x1"}
BOTTLENECKS_V1_5 = RESNET | {"stride_in": "3x3"}
RELEASED = {"stem": "released", "variant": "released", "aux_heads": False}
# Google trained both networks; torchvision scales their pixels again inside the network, to [-1, 1].
TORCH_GOOGLENET = {"builder": "GoogLeNetTorchvision", "batch_norm": True, "module": "inception"}
TORCH_INCEPTION = {"stem": "released", "variant": "torchvision"}

# The order for each network is that in which "imagenet" tries them.
# fmt: off
WEIGHTS: tuple[PublicWeights, ...] = (
    #             network         file                            with and without top, MD5
    *_keras("VGG16",       "vgg16/vgg16",               ("64373286793e3c8b2b4e3219cbf3544b",
                                                         "6d6bbae143d832006294945121d1f1fc"),
            "caffe",     (71.3, 90.1), OXFORD, batch_norm=False),
    *_keras("VGG19",       "vgg19/vgg19",               ("cbe5617147190e668d6c5d5026f83318",
                                                         "253f8cb515780f3b799900260a226db6"),
            "caffe",     (71.3, 90.0), OXFORD, batch_norm=False),
    *_keras("ResNet50",    "resnet/resnet50",           ("2cb95161c43110f7111970584f804107",
                                                         "4d473c1dd8becc155b73f8504c6f6626"),
            "caffe",     (74.9, 92.1), HE, **BOTTLENECKS_2015),
    *_keras("ResNet101",   "resnet/resnet101",          ("f1aeb4b969a6efcfb50fad2f0c20cfc5",
                                                         "88cf7a10940856eca736dc7b7e228a21"),
            "caffe",     (76.4, 92.8), HE, **BOTTLENECKS_2015),
    *_keras("ResNet152",   "resnet/resnet152",          ("100835be76be38e30d865e96f2aaae62",
                                                         "ee4c566cf9a93f14d82f913c2dc6dd0c"),
            "caffe",     (76.6, 93.1), HE, **BOTTLENECKS_2015),
    *_keras("InceptionV3", "inception_v3/inception_v3", ("9a0d58056eeedaa3f26cb7ebd46da564",
                                                         "bcbd6486424b2319ff4ef7d526e38f63"),
            "symmetric", (77.9, 93.7), GOOGLE, 299, **RELEASED),
    #            network        file                            top-1   top-5
    _torchvision("AlexNetV2",   "alexnet-owt-7be5be79",         56.522, 79.066),
    _torchvision("VGG11",       "vgg11-8a719046",               69.020, 88.628, batch_norm=False),
    _torchvision("VGG11",       "vgg11_bn-6002323d",            70.370, 89.810, batch_norm=True),
    _torchvision("VGG13",       "vgg13-19584684",               69.928, 89.246, batch_norm=False),
    _torchvision("VGG13",       "vgg13_bn-abd245e5",            71.586, 90.374, batch_norm=True),
    _torchvision("VGG16",       "vgg16-397923af",               71.592, 90.382, batch_norm=False),
    _torchvision("VGG16",       "vgg16_bn-6c64b313",            73.360, 91.516, batch_norm=True),
    _torchvision("VGG19",       "vgg19-dcbb9e9d",               72.376, 90.876, batch_norm=False),
    _torchvision("VGG19",       "vgg19_bn-c79401a0",            74.218, 91.842, batch_norm=True),
    _torchvision("GoogLeNet",   "googlenet-1378be20",           69.778, 89.530, "symmetric", **TORCH_GOOGLENET),
    _torchvision("InceptionV3", "inception_v3_google-0cc3c7bd", 77.294, 93.450, "symmetric", 299, **TORCH_INCEPTION),
    _torchvision("ResNet18",    "resnet18-f37072fd",            69.758, 89.078, **RESNET),
    _torchvision("ResNet34",    "resnet34-b627a593",            73.314, 91.420, **RESNET),
    _torchvision("ResNet50",    "resnet50-0676ba61",            76.130, 92.862, **BOTTLENECKS_V1_5),
    _torchvision("ResNet101",   "resnet101-63fe2227",           77.374, 93.546, **BOTTLENECKS_V1_5),
    _torchvision("ResNet152",   "resnet152-394f9c45",           78.312, 94.046, **BOTTLENECKS_V1_5),
)
# fmt: on


def weights_of(network: str) -> list[PublicWeights]:
    """Returns the public weights for a builder's name, those first that `weights="imagenet"` prefers."""
    return [file for file in WEIGHTS if network in (file.network, file.builder)]


def select_weights(network: str, name: str, given: Mapping[str, Any], include_top: bool = True) -> PublicWeights:
    """Selects the file that a name of public weights stands for.

    Args:
        network: the builder's name.
        name: one of `NAMES`.
        given: the builder's own arguments that the caller passes; the first file that matches them is selected.
        include_top: whether the classifier is needed; if not, a file without it is preferred.

    Raises:
        InputError: nothing is published for the network, under that name, or for these arguments.

    Example:
        >>> select_weights("VGG16", "imagenet", {"batch_norm": True}).file
        'vgg16_bn-6c64b313.pth'
    """
    public = weights_of(network)
    if not public:
        networks = list(dict.fromkeys(file.network for file in WEIGHTS))
        raise InputError(f"{network} has no public weights, unlike {_listed(networks)}; train it, or give a file.")
    named = [file for file in public if name in (ANY, file.name)]
    if not named:
        raise InputError(f"{network} has no public weights '{name}'; it has '{public[0].name}', also as '{ANY}'.")
    matching = [file for file in named if file.matches(given)]
    if not matching:
        keys = [key for key, value in given.items() if any(not file.matches({key: value}) for file in named)]
        variants = dict.fromkeys(_format_arguments({key: file.arguments[key] for key in keys}) for file in named)
        conflict = _format_arguments({key: given[key] for key in keys})
        raise InputError(f"{network} has no public weights '{name}' for {conflict}, only for {' or '.join(variants)}.")
    first = matching[0]
    return next((file for file in matching if file.name == first.name and file.include_top == include_top), first)


def find_by_file_name(network: str, file: str) -> PublicWeights | None:
    """Returns the public weights of a network with this file name, or None."""
    return next((public for public in weights_of(network) if public.file == file), None)


def _format_arguments(arguments: Mapping[str, Any]) -> str:
    return _listed([f"{name}={value!r}" for name, value in arguments.items()])


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
