"""Fine-tuning: a pre-trained encoder becomes a model of a labelled task, seed by seed."""
