"""The backbone and the models built on it."""
