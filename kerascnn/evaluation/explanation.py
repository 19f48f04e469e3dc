"""What a network looks at: Grad-CAM, its first filters, the maps inside it.

Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization" (2017),
section 3.

Differences from the paper:
    The last map is that of the graph, after its activation: a residual network's last addition, an Inception network's
    last concatenation.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple

import keras
import numpy as np

from kerascnn.applications.deep import functional
from kerascnn.errors import InputError, closest
from kerascnn.evaluation.maps import Map, flat, last_map, last_of_every_size, maps_between, scores_before
from kerascnn.evaluation.predictors import KerasPredictor, Predictor


class ClassMap(NamedTuple):
    """Where an image speaks for a class.

    Attributes:
        label: the class.
        probability: from 0 to 1.
        heat: float32 (rows, columns), at least 0, in units of the class's score.
    """

    label: str
    probability: float
    heat: np.ndarray


class Activation(NamedTuple):
    """What a layer makes of an image.

    Attributes:
        layer: its name.
        maps: float32 (rows, columns, channels).
    """

    layer: str
    maps: np.ndarray


class Explainer:
    """A network, opened to be looked into.

    Args:
        predictor: from `open_predictor`, of a Keras model; of several classifiers the main one is explained.

    Attributes:
        predictor: the same.
        layer: the name of the layer whose map Grad-CAM weighs.

    Raises:
        InputError: the model is of a form that gives no gradients, or has no convolution.

    Example:
        >>> explainer = Explainer(open_predictor("runs/googlenet-pets-20261120-101500"))
        >>> [(one.label, one.heat.shape) for one in explainer.grad_cam(view, top=1)]
        [('Cat', (7, 7))]
    """

    def __init__(self, predictor: Predictor):
        if not isinstance(predictor, KerasPredictor):
            raise InputError(
                f"{predictor.path} is a {predictor.kind} file, which gives no gradients; "
                "give the run folder or the .keras file that it was made from."
            )
        self.predictor = predictor
        network = flat(predictor.network)
        self._pixels, self._probabilities = network.inputs[0], network.outputs[0]
        self._scores = scores_before(self._probabilities)
        try:
            self._maps = maps_between(self._pixels, self._scores)
        except InputError as error:
            raise InputError(f"{predictor.path or network.name}: {error}") from None
        last = last_map(self._maps)
        self.layer = last.layer.name
        self._to_scores = functional(self._pixels, [last.tensor, self._scores, self._probabilities])

    def grad_cam(self, view: np.ndarray, top: int = 3) -> list[ClassMap]:
        """Grad-CAM of the most probable classes, the best first.

        A class's score is what its softmax takes. A channel of the last map weighs as much as the score's gradient by
        that channel, averaged over all places; the heat is the channels' weighted sum, where it is positive (equations
        1 and 2).

        Args:
            view: float32 (size, size, 3) in [0, 255], an image as the network is shown it.
            top: how many classes; not more than there are.
        """
        import tensorflow as tf

        with tf.GradientTape(persistent=True) as tape:
            pixels = tf.constant(view[None], tf.float32)
            # Without this, a network none of whose weights are trainable would leave no trace.
            tape.watch(pixels)
            maps, scores, probabilities = self._to_scores(pixels, training=False)
            shares = probabilities[0].numpy()
            best = np.argsort(-shares, kind="stable")[:top]
            of_classes = [scores[0, index] for index in best]
        names = self.predictor.metadata.class_names
        found = []
        for index, score in zip(best, of_classes, strict=True):
            gradient = tf.cast(tape.gradient(score, maps)[0], tf.float32)
            weights = tf.reduce_mean(gradient, axis=(0, 1))
            heat = tf.nn.relu(tf.linalg.matvec(tf.cast(maps[0], tf.float32), weights))
            found.append(ClassMap(names[index], float(shares[index]), heat.numpy()))
        return found

    def activations(self, view: np.ndarray, layers: str | None = None) -> list[Activation]:
        """What layers make of an image, in the order of the graph.

        Args:
            view: as for `grad_cam`.
            layers: a pattern of names such as "inception_4*"; None for the last map of every size.

        Raises:
            InputError: no layer with a map has such a name.
        """
        chosen = last_of_every_size(self._maps) if layers is None else self._named(layers)
        model = functional(self._pixels, [one.tensor for one in chosen])
        outputs = keras.tree.flatten(model(view[None].astype(np.float32), training=False))
        return [
            Activation(one.layer.name, keras.ops.convert_to_numpy(keras.ops.cast(output[0], "float32")))
            for one, output in zip(chosen, outputs, strict=True)
        ]

    def _named(self, pattern: str) -> list[Map]:
        found = [one for one in self._maps if fnmatchcase(one.layer.name, pattern)]
        if not found:
            names = [one.layer.name for one in self._maps]
            raise InputError(f"no layer with a map is called '{pattern}'; {closest(pattern, names)}")
        return found

    def filters(self) -> np.ndarray:
        """The kernels of the first convolution, float32 (rows, columns, 3, filters).

        Raises:
            InputError: it does not look at colours, or has no plain kernel.
        """
        first = self._maps[0].layer
        kernel = getattr(first, "kernel", None)
        if kernel is None or kernel.shape[2] != 3:
            raise InputError(f"the first map, of '{first.name}', is not made by filters over the three colours.")
        return keras.ops.convert_to_numpy(keras.ops.cast(kernel, "float32"))
