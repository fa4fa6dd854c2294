"""The vectors of a task's examples, from every layer of an encoder.

Dimension letters: B batch, T sequence, H hidden, L layers, N sentences, E examples, W words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm.auto import tqdm

from hierbert_tf.errors import InputError
from hierbert_tf.probing.examples import ProbingTask
from hierbert_tf.probing.pooling import pool
from hierbert_tf.probing.probed_encoder import ProbedEncoder

# Sentences are padded to a multiple of so many tokens.
_MULTIPLE = 16


@dataclass(frozen=True)
class EncodingCounts:
    """What did not fit.

    Args:
        cut_sentences: sentences longer than the sequence, of which the end was not encoded.
        cut_words: examples that are words in such an end; the sentence's last token stands in.
        words_without_tokens: examples that are words without a token, of invisible characters
            alone; the next token stands in, or the sentence's last.
    """

    cut_sentences: int = 0
    cut_words: int = 0
    words_without_tokens: int = 0


def encode(
    encoder: ProbedEncoder,
    task: ProbingTask,
    vectors: Mapping[str, np.ndarray],
    sequence_length: int,
    batch_tokens: int,
) -> EncodingCounts:
    """Encodes a task's sentences once, and pools every layer in all ways that are asked for.

    Sentences of like length share a batch, so that little is padding; the longest come first, so
    that memory that does not suffice shows at once.

    Args:
        encoder: the model.
        task: N sentences, E examples.
        vectors: float32 [L + 1, E, H] to fill, by pooling: `first_token` for a task about words,
            sentences' poolings else.
        sequence_length: longest T; what is longer is cut.
        batch_tokens: tokens a batch, padding included; a single sentence may have more.

    Returns:
        What was cut.

    Raises:
        InputError: a vector is not finite.
    """
    sentences, starts = encoder.tokenise(task.sentences, words=task.word_level)
    lengths = np.array([len(tokens) for tokens in sentences], np.int64)
    kept = np.minimum(lengths, sequence_length - 2)
    words = _Words(task, starts, lengths, kept) if task.word_level else None
    program = _program(encoder, tuple(vectors))
    order = np.argsort(-kept, kind="stable")
    first = 0
    with tqdm(total=len(order), desc=task.name, unit="sentence", leave=False, disable=None) as bar:
        while first < len(order):
            longest = kept[order[first]] + 2
            length = min(-(-longest // _MULTIPLE) * _MULTIPLE, sequence_length)
            rows = order[first : first + max(1, batch_tokens // length)]
            token_ids, mask = _batch(encoder, [sentences[row][: kept[row]] for row in rows], length)
            examples, places = words.of(rows) if words else (rows, np.zeros([0, 2], np.int32))
            pooled = program(*map(tf.constant, (token_ids, mask, places)))
            for pooling, target in vectors.items():
                values = pooled[pooling].numpy()  # [L + 1, B or W, H]
                if not np.isfinite(values).all():
                    raise InputError(
                        f"{encoder.name} gives values that are not finite for {task.path!r}; its "
                        "weights are damaged, or its precision is too low"
                    )
                target[:, examples] = values
            first += len(rows)
            bar.update(len(rows))
    cut_sentences = int((lengths > kept).sum())
    if words is None:
        return EncodingCounts(cut_sentences)
    return EncodingCounts(cut_sentences, words.cut, words.without_tokens)


def _program(encoder: ProbedEncoder, poolings: tuple[str, ...]) -> Any:
    """The encoder and the poolings as one graph, traced once for all shapes."""
    if poolings not in encoder.programs:
        matrix = tf.TensorSpec([None, None], tf.int32)

        @tf.function(input_signature=[matrix, matrix, tf.TensorSpec([None, 2], tf.int32)])
        def program(token_ids: tf.Tensor, mask: tf.Tensor, words: tf.Tensor) -> Any:
            layers = encoder.layer_outputs(token_ids, mask)
            return {
                pooling: tf.stack([pool(layer, mask, pooling, words) for layer in layers])
                for pooling in poolings
            }

        # As a concrete function: TensorFlow takes the many encoders of a run for one function that
        # is traced over and over, and would say so.
        encoder.programs[poolings] = program.get_concrete_function()
    return encoder.programs[poolings]


def _batch(
    encoder: ProbedEncoder, sentences: Sequence[np.ndarray], length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Token ids between [CLS] and [SEP], and the padding mask: int32 [B, T] both."""
    token_ids = np.full([len(sentences), length], encoder.tokenizer.pad_token_id, np.int32)
    token_ids[:, 0] = encoder.tokenizer.cls_token_id
    mask = np.zeros_like(token_ids)
    for row, tokens in enumerate(sentences):
        token_ids[row, 1 : len(tokens) + 1] = tokens
        token_ids[row, len(tokens) + 1] = encoder.tokenizer.sep_token_id
        mask[row, : len(tokens) + 2] = 1
    return token_ids, mask


class _Words:
    """Where the examples of a task about words stand.

    Args:
        task: its E examples.
        starts: for each sentence, the index of each word's first token.
        lengths: int64 [N], tokens of each sentence.
        kept: int64 [N], tokens that are encoded.
    """

    def __init__(
        self,
        task: ProbingTask,
        starts: Sequence[np.ndarray],
        lengths: np.ndarray,
        kept: np.ndarray,
    ) -> None:
        sentence = task.sentence_index
        counts = np.array([len(some) for some in starts], np.int64)
        place = (np.cumsum(counts) - counts)[sentence] + task.word_index  # [E], of all words
        start = np.concatenate(starts).astype(np.int64)[place]
        ends = [
            np.append(some[1:], end)[: len(some)] for some, end in zip(starts, lengths, strict=True)
        ]
        end = np.concatenate(ends)[place]
        last = kept[sentence] - 1
        self.without_tokens = int((end == start).sum())
        self.cut = int(((start > last) & (end > start)).sum())
        # One further on, behind [CLS]; which stands in where a sentence has no token at all.
        self.position = np.minimum(start, last) + 1
        self._order = np.argsort(sentence, kind="stable")
        self._bounds = np.searchsorted(sentence[self._order], np.arange(len(lengths) + 1))

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Examples [W] of a batch of sentences, and int32 [W, 2], the row and position of each."""
        of_row = [self._order[self._bounds[row] : self._bounds[row + 1]] for row in rows]
        examples = np.concatenate(of_row)
        row_in_batch = np.repeat(np.arange(len(rows)), [len(some) for some in of_row])
        return examples, np.stack([row_in_batch, self.position[examples]], 1).astype(np.int32)
