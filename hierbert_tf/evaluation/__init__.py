"""What the scores of a model mean: chance levels."""
