"""Keras' optimizers, which update a weight by one of TensorFlow's kernels instead of a dozen operations.

Formulas, variables and configs are Keras'. The parent class updates where no kernel is for the arguments (no momentum,
AMSGrad, centered RMSProp) or for the gradient (sparse).
"""

from __future__ import annotations

from typing import Any

import keras

from kerascnn.keras_internals import optimizer_state
from kerascnn.lazy_tensorflow import tf


class SGD(keras.optimizers.SGD):
    """`keras.optimizers.SGD`, by one kernel if it has momentum."""

    @property
    def momentum_now(self):
        """The momentum of the next step."""
        return self.momentum

    def update_step(self, gradient, variable, learning_rate):
        if not self.momentum or not _is_dense(gradient, variable):
            return super().update_step(gradient, variable, learning_rate)
        (accumulator,) = optimizer_state(self, variable, "momentums")
        tf.raw_ops.ResourceApplyKerasMomentum(
            **_operands(gradient, variable, lr=learning_rate, momentum=self.momentum_now),
            accum=accumulator,
            use_nesterov=self.nesterov,
        )


class Adam(keras.optimizers.Adam):
    """`keras.optimizers.Adam`, by one kernel unless it is AMSGrad."""

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad or not _is_dense(gradient, variable):
            return super().update_step(gradient, variable, learning_rate)
        m, v = optimizer_state(self, variable, "_momentums", "_velocities")
        operands = _operands(
            gradient, variable, lr=learning_rate, beta1=self.beta_1, beta2=self.beta_2, epsilon=self.epsilon
        )
        steps = tf.cast(self.iterations + 1, variable.dtype)
        powers = {f"{name}_power": operands[name] ** steps for name in ("beta1", "beta2")}
        tf.raw_ops.ResourceApplyAdam(**operands, **powers, m=m, v=v)


class RMSprop(keras.optimizers.RMSprop):
    """`keras.optimizers.RMSprop`, by one kernel if it has momentum and is not centered."""

    def update_step(self, gradient, variable, learning_rate):
        if not self.momentum or self.centered or not _is_dense(gradient, variable):
            return super().update_step(gradient, variable, learning_rate)
        squares, momentum = optimizer_state(self, variable, "_velocities", "_momentums")
        tf.raw_ops.ResourceApplyRMSProp(
            **_operands(
                gradient, variable, lr=learning_rate, rho=self.rho, momentum=self.momentum, epsilon=self.epsilon
            ),
            ms=squares,
            mom=momentum,
        )


def _is_dense(gradient, variable) -> bool:
    """Whether TensorFlow's dense kernels can update the variable."""
    return isinstance(variable, tf.Variable) and not isinstance(gradient, tf.IndexedSlices)


def _operands(gradient, variable: tf.Variable, **numbers) -> dict[str, Any]:
    """What the kernels take, in the variable's dtype."""
    values = {"grad": gradient, **numbers}
    return {"var": variable.handle, **{name: tf.cast(value, variable.dtype) for name, value in values.items()}}
