"""A model whose layers are probed, whoever made it.

Dimension letters: B batch, T sequence, H hidden, L layers, N sentences.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from hierbert_tf.data.features import PADDING_MASK, SEGMENT_IDS, TOKEN_IDS
from hierbert_tf.errors import InputError
from hierbert_tf.layers.seeds import kernel_initializer
from hierbert_tf.models.backbone import HierarchicalBertBackbone
from hierbert_tf.models.rebuild import random_backbone
from hierbert_tf.models.weights_hash import weights_sha256
from hierbert_tf.probing.examples import sentence_words

# Texts a call of the tokenizer: large calls are fast, and so many texts fit into memory.
_TEXTS = 1 << 14
# They change no vector: at encoding nothing is dropped, and the weights are there.
_IRRELEVANT = ("name", "trainable", "seed", "dropout", "attention_dropout")


class ProbedEncoder:
    """An encoder that gives every layer's output, with the tokenizer it was trained with.

    Nothing is dropped at encoding; poolers and transfers between tasks work as in pre-training.

    Args:
        backbone: a `HierarchicalBertBackbone` or keras-hub's `BertBackbone`.
        tokenizer: of keras-hub's kind, with `cls_token_id`, `sep_token_id` and `pad_token_id`.
        name: what people call it, such as its path.
        heads: pre-training tasks and the layers their heads sat at.

    Attributes:
        num_layers: L; there are L + 1 vectors a token, from the embeddings (0) on.
        hidden_dim: H.
        max_sequence_length: longest T.
        programs: compiled programs by what they compute, kept so that a second task uses them too.

    Raises:
        InputError: another kind of model, or a tokenizer with ids that the model does not have.

    Example:

    >>> from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer
    >>> tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "so", "##s"]
    >>> backbone = HierarchicalBertBackbone(
    ...     len(tokens), num_layers=2, num_heads=2, hidden_dim=4, intermediate_dim=8)
    >>> encoder = ProbedEncoder(backbone, HierarchicalBertTokenizer(tokens), "mine")
    >>> token_ids, word_starts = encoder.tokenise(["Sos so"], words=True)
    >>> token_ids[0].tolist(), word_starts[0].tolist()
    ([5, 6, 5], [0, 2])
    >>> ids = np.array([[2, 5, 6, 3]], "int32")
    >>> [tuple(layer.shape) for layer in encoder.layer_outputs(ids, np.ones_like(ids))]
    [(1, 4, 4), (1, 4, 4), (1, 4, 4)]
    """

    def __init__(
        self,
        backbone: keras_hub.models.Backbone,
        tokenizer: keras_hub.tokenizers.Tokenizer,
        name: str,
        heads: Sequence[tuple[str, int]] = (),
    ) -> None:
        if isinstance(backbone, HierarchicalBertBackbone):
            names = [f"layer_{number}" for number in range(backbone.num_layers + 1)]
            outputs = [backbone.output[name] for name in names]
        elif isinstance(backbone, keras_hub.models.BertBackbone):
            # Its own outputs are the last layer's alone.
            layers = [backbone.embeddings_dropout, *backbone.transformer_layers]
            outputs = [layer.output for layer in layers]
        else:
            raise InputError(
                f"{name} is a {type(backbone).__name__}, whose layers cannot be read; probe a "
                "model of this package or a BertBackbone of keras-hub, or give a folder of "
                "precomputed vectors"
            )
        if tokenizer.vocabulary_size() > backbone.vocabulary_size:
            raise InputError(
                f"{name} has embeddings of {backbone.vocabulary_size} token ids, but its tokenizer "
                f"{tokenizer.vocabulary_size()}: give the vocabulary that it was trained with"
            )
        if getattr(tokenizer, "sequence_length", None) or not getattr(tokenizer, "split", True):
            raise InputError(
                f"the tokenizer of {name} has sequence_length set, or split=False; probing takes "
                "whole sentences and cuts them itself: save it without these"
            )
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.name = name
        self.heads = tuple(heads)
        self.num_layers: int = backbone.num_layers
        self.hidden_dim: int = backbone.hidden_dim
        self.max_sequence_length: int = backbone.max_sequence_length
        self.programs: dict[Any, Any] = {}
        self._layers = keras.Model(dict(backbone.input), outputs)

    @cached_property
    def sha256(self) -> str:
        """Hash of all that a sentence's vectors depend on: weights, form, and how text is read."""
        form = {k: v for k, v in self.backbone.get_config().items() if k not in _IRRELEVANT}
        reading = self.tokenizer.get_config()
        entries = [self.tokenizer.id_to_token(i) for i in range(self.tokenizer.vocabulary_size())]
        facts = {
            "weights": weights_sha256(self.backbone),
            "backbone": [type(self.backbone).__name__, form],
            "tokenizer": [
                type(self.tokenizer).__name__,
                # `vocabulary` may be a path, that of a temporary folder even.
                {k: v for k, v in reading.items() if k not in (*_IRRELEVANT, "vocabulary")},
                entries,
            ],
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def sequence_length(self, wanted: int = 0) -> int:
        """The longest sequence to encode, in tokens with [CLS] and [SEP].

        Args:
            wanted: `sequence_length` of the settings; 0: as long as the encoder can.

        Raises:
            InputError: there are fewer positions, or there is no room for a token.
        """
        if wanted and not 3 <= wanted <= self.max_sequence_length:
            raise InputError(
                f"model.sequence_length is {wanted}, but must be from 3 to the "
                f"{self.max_sequence_length} positions of {self.name}, or 0 for these"
            )
        return wanted or self.max_sequence_length

    def tokenise(
        self, sentences: Sequence[str], words: bool = False
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Token ids, and where words begin.

        Args:
            sentences: N texts.
            words: find the words too, which takes two to four times as long.

        Returns:
            For each sentence its token ids, int32, without [CLS] and [SEP]; and for each sentence,
            if `words`, the index among these of the first token of each word between spaces, int32;
            a word without tokens (of invisible characters alone) has that of the next word. Else an
            empty list.
        """
        if not words:
            ids, counts = self._tokenise(sentences)
            return _split(ids, counts), []
        # BERT's tokenizers split at spaces before all else, so words one by one give the same.
        split = [sentence_words(sentence) for sentence in sentences]
        ids, counts = self._tokenise([word for some in split for word in some])
        ends = np.cumsum(counts)
        pieces = _split(ends - counts, np.array([len(some) for some in split], np.int64))
        tokens = _split(counts, np.array([len(some) for some in split], np.int64))
        lengths = np.array([some.sum() for some in tokens], np.int64)
        starts = [(some - some[:1]).astype(np.int32) for some in pieces]
        return _split(ids, lengths), starts

    def _tokenise(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Token ids of all texts in a row, int32; and how many each text has, int64."""
        if "tokenise" not in self.programs:
            # Inside a graph keras-hub's tokenizer is TensorFlow Text's; outside it is Python, at an
            # eighth of the speed.
            signature = [tf.TensorSpec([None], tf.string)]
            program = tf.function(self.tokenizer.tokenize, signature)
            self.programs["tokenise"] = program.get_concrete_function()
        parts = [
            self.programs["tokenise"](tf.constant(texts[first : first + _TEXTS], tf.string))
            for first in range(0, len(texts), _TEXTS)
        ]
        ids = [part.values.numpy() for part in parts] or [np.zeros(0)]
        counts = [part.row_lengths().numpy() for part in parts] or [np.zeros(0)]
        return np.concatenate(ids).astype(np.int32), np.concatenate(counts).astype(np.int64)

    def layer_outputs(self, token_ids: Any, padding_mask: Any) -> list[Any]:
        """Every layer's output, for single sentences.

        Args:
            token_ids: int32 [B, T], with [CLS] and [SEP].
            padding_mask: int32 [B, T], 1 for a token, 0 for padding.

        Returns:
            L + 1 floats [B, T, H] in the model's precision, the embeddings' first.
        """
        token_ids = keras.ops.convert_to_tensor(token_ids, "int32")
        features = {
            TOKEN_IDS: token_ids,
            SEGMENT_IDS: keras.ops.zeros_like(token_ids),
            PADDING_MASK: keras.ops.convert_to_tensor(padding_mask, "int32"),
        }
        return self._layers(features, training=False)

    def with_random_weights(self, seed: int) -> "ProbedEncoder":
        """The same model before any training: what its form alone is worth.

        Args:
            seed: draws the weights.
        """
        if isinstance(self.backbone, HierarchicalBertBackbone):
            backbone = random_backbone(self.backbone, seed)
        else:
            backbone = type(self.backbone).from_config(self.backbone.get_config())
            for weight in backbone.weights:
                _draw(weight, seed)
        name = f"{self.name} (random weights, seed {seed})"
        return ProbedEncoder(backbone, self.tokenizer, name, self.heads)


def _split(flat: np.ndarray, counts: np.ndarray) -> list[np.ndarray]:
    """Views of the parts of an array, of so many items each."""
    return np.split(flat, np.cumsum(counts)[:-1]) if len(counts) else []


def _draw(weight: Any, seed: int) -> None:
    """Gives a weight the initial value that BERT's has, from the seed and the weight's name.

    keras-hub's own initial values cannot be seeded.
    """
    constants = {"gamma": np.ones, "beta": np.zeros, "bias": np.zeros}
    kind = weight.path.rsplit("/", 1)[-1]
    if kind in constants:
        weight.assign(constants[kind](weight.shape))
    elif "seed_generator" not in weight.path:
        weight.assign(kernel_initializer(seed, weight.path)(weight.shape))
