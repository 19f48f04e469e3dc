"""The input pipeline: from encoded files to augmented batches, by tf.data."""
