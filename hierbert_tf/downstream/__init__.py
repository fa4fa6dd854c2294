"""Labelled examples of the tasks that a pre-trained encoder is fine-tuned for."""
