"""Seeds of single weights and dropouts, derived from one seed and their names."""

import hashlib

import keras

# BERT's initial standard deviation (Devlin et al., 2019).
STANDARD_DEVIATION = 0.02


def derived_seed(seed: int, *names: str) -> int:
    """Hashes a seed and names to another seed.

    Every weight has its own seed by its name, not by the order of creation, so that adding a layer
    to a model changes no other layer's initial weights.

    Args:
        seed: the seed of the whole, such as a run's.
        *names: path of the part, such as `("encoder_block_1", "query")`.

    Returns:
        An integer in [0, 2**31), the same on every machine and in every process.

    Example:

    >>> derived_seed(42, "pooler") == derived_seed(42, "pooler")
    True
    >>> derived_seed(42, "pooler") == derived_seed(43, "pooler")
    False
    """
    text = "/".join((str(seed), *names)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest(), "little") >> 1


def kernel_initializer(seed: int, *names: str) -> keras.initializers.Initializer:
    """Returns BERT's initializer of kernels and embeddings, with a derived seed.

    Args:
        seed: the seed of the whole.
        *names: path of the weight below it.

    Returns:
        A normal of standard deviation 0.02, cut at two standard deviations.

    Example:

    >>> first = kernel_initializer(1, "query")((2, 2))
    >>> bool((first == kernel_initializer(1, "query")((2, 2))).numpy().all())
    True
    """
    return keras.initializers.TruncatedNormal(
        stddev=STANDARD_DEVIATION, seed=derived_seed(seed, *names)
    )
