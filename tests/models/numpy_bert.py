"""BERT's encoder in numpy, written from the equations of Vaswani et al. (2017) and Devlin et al.

float64 throughout, so that it is the reference to float32.
"""

import math

import numpy as np

EPSILON = 1e-12


def layer_norm(x, gamma, beta):
    """Normalises the last axis with the biased variance."""
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON) * gamma + beta


def gelu(x):
    """x times the normal distribution's cumulative function."""
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def encode(weights, inputs, num_layers, num_heads):
    """Every layer's output.

    Args:
        weights: arrays by path, such as `encoder_block_1/query/kernel`.
        inputs: the three int arrays [B, T].
        num_layers: blocks.
        num_heads: heads.

    Returns:
        List of [B, T, H], the embeddings' output first.
    """
    w = {path: np.asarray(value, "float64") for path, value in weights.items()}
    length = inputs["token_ids"].shape[1]
    x = w["embeddings/token_embedding/embeddings"][inputs["token_ids"]]
    x = x + w["embeddings/segment_embedding/embeddings"][inputs["segment_ids"]]
    x = x + w["embeddings/position_embedding/embeddings"][:length]
    x = layer_norm(x, w["embeddings/layer_norm/gamma"], w["embeddings/layer_norm/beta"])
    outputs = [x]
    for number in range(1, num_layers + 1):
        block = f"encoder_block_{number}"

        def dense(name, x, block=block):
            return x @ w[f"{block}/{name}/kernel"] + w[f"{block}/{name}/bias"]

        def norm(name, x, block=block):
            return layer_norm(x, w[f"{block}/{name}/gamma"], w[f"{block}/{name}/beta"])

        q, k, v = (dense(name, x) for name in ("query", "key", "value"))
        size = x.shape[-1] // num_heads
        context = np.zeros_like(x)
        for row in range(x.shape[0]):
            tokens = inputs["padding_mask"][row] == 1
            for head in range(num_heads):
                part = slice(head * size, (head + 1) * size)
                scores = q[row, :, part] @ k[row, :, part].T / math.sqrt(size)
                scores = np.where(tokens[None, :], scores, -np.inf)
                probabilities = np.exp(scores - scores.max(-1, keepdims=True))
                probabilities /= probabilities.sum(-1, keepdims=True)
                context[row, :, part] = probabilities @ v[row, :, part]
        x = norm("attention_layer_norm", x + dense("attention_output", context))
        x = norm("output_layer_norm", x + dense("output", gelu(dense("intermediate", x))))
        outputs.append(x)
    return outputs
