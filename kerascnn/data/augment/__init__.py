"""Augmentation: random crops, flips, colors, RandAugment, mixup; stateless, a function of seed and position."""
