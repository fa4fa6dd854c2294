"""Optimizer, training step, loop, checkpoints, monitoring."""
