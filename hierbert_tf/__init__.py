"""Hierarchical multitask pre-training of BERT-like encoders."""
