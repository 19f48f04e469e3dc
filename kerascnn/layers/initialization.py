"""The initializer of the convolutions."""

from __future__ import annotations

# He, Zhang, Ren and Sun, "Delving Deep into Rectifiers" (2015), section 2.2: zero-mean Gaussian, variance 2 / fan-in.
# Keras' "he_normal" truncates the tails, which takes twice as long. A config, so that every layer gets a new seed.
HE_NORMAL = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_in", "distribution": "untruncated_normal"},
}
