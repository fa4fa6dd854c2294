"""Held-out evaluation and chance levels."""
