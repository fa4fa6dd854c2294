"""What does each layer know: probing tasks over the vectors of every layer."""
