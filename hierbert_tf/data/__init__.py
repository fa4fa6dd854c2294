"""Shards to batches: features, order, pairs, and the tf.data pipeline."""
