"""Keras layers: embeddings, encoder block, pooler, transfer, masked-LM head."""
