"""How weights begin."""

from __future__ import annotations

# He, Zhang, Ren and Sun, "Delving Deep into Rectifiers" (2015), section 2.2: zero-mean Gaussian, variance 2 / fan-in.
# Keras' "he_normal" cuts the tails off, which takes twice as long; as a config, every layer draws anew.
HE_NORMAL = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_in", "distribution": "untruncated_normal"},
}
