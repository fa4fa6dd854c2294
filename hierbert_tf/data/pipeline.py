"""Shards to batches with tf.data: read, pair, corrupt, cut to length.

All randomness is stateless and seeded by (run seed, stage, epoch, window, batch), so the same seed
gives the same bytes whatever runs in parallel, and a run resumes at any step.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow as tf

from hierbert_tf.config import DataConfig
from hierbert_tf.data import features as names
from hierbert_tf.data.features import ENCODER_FEATURES, Feature
from hierbert_tf.data.order import Window, windows
from hierbert_tf.data.pairs import Text, anchor, gather_sequences, shuffle_into_batches
from hierbert_tf.data.seeds import fold, stage_seed
from hierbert_tf.data.sequences import Sequences, TokenTable
from hierbert_tf.data.shards import Manifest
from hierbert_tf.errors import InputError

if TYPE_CHECKING:  # tasks build on this folder
    from hierbert_tf.tasks.task import PretrainingTask

RECORD = {
    "token_ids": tf.io.FixedLenFeature([], tf.string),
    "sentence_lengths": tf.io.FixedLenFeature([], tf.string),
    "document_id": tf.io.FixedLenFeature([], tf.int64),
    "is_pair": tf.io.FixedLenFeature([], tf.int64),
}


class PretrainingData:
    """Prepared text and the tasks that corrupt it: makes datasets of batches.

    A batch is `(features, labels, weights)`, three dicts: the encoder's features and the tasks'
    own; each task's int32 labels and float32 label weights, by task name.

    Args:
        folder: holds the shards and their manifest.
        tasks: from `hierbert_tf.tasks.build_tasks`.
        table: facts about the vocabulary.
        config: lengths and batch size.
        seed: the run's seed.

    Raises:
        InputError: the manifest is missing or damaged, made for another sequence length,
            or has no document of two sentences where a task needs pairs.
    """

    def __init__(
        self,
        folder: str | Path,
        tasks: Sequence["PretrainingTask"],
        table: TokenTable,
        config: DataConfig,
        seed: int,
    ):
        self.folder = Path(folder)
        self.manifest = Manifest.load(self.folder)
        self.tasks = list(tasks)
        self.table = table
        self.config = config
        self.seed = seed
        self.paired = any(task.stage == 0 for task in self.tasks)
        if self.manifest.sequence_length != config.sequence_length:
            raise InputError(
                f"{self.folder}: prepared for sequences of {self.manifest.sequence_length} tokens, "
                f"not data.sequence_length {config.sequence_length}; prepare the text again"
            )
        if self.paired and not sum(self.examples("train")):
            raise InputError(
                f"{self.folder}: no document has two sentences, but {self.tasks[0].name} needs "
                "pairs; see corpus.sources.0.document_break, or drop that task"
            )

    def examples(self, split: str) -> list[int]:
        """Examples of each shard of a split, for the tasks at hand."""
        shards = self.manifest.splits[split].shards
        return [s.pair_examples if self.paired else s.single_examples for s in shards]

    def features(self) -> tuple[Feature, ...]:
        """Every input of the model."""
        return ENCODER_FEATURES + tuple(f for task in self.tasks for f in task.features())

    def training(self, steps: int, start_step: int = 0) -> tf.data.Dataset:
        """The batches of steps `start_step` to `steps`, passing over the text as often as needed.

        Args:
            steps: steps of the whole run.
            start_step: first step wanted; the batches before it are not read.

        Returns:
            Dataset of `(features, labels, weights)` with B = `batch_size`.

        Raises:
            InputError: the training text does not fill one batch.
        """
        examples = self.examples("train")
        if sum(examples) < self.config.batch_size:
            raise InputError(
                f"{self.folder}: the training text gives {sum(examples)} sequences of up to "
                f"{self.config.sequence_length} tokens, fewer than data.batch_size "
                f"{self.config.batch_size}; lower it or add text"
            )
        plan: list[Window] = []
        step = start_step
        for window in windows(
            examples, self.config.batch_size, self.config.window_shards, self.seed, start_step
        ):
            if step >= steps:
                break
            plan.append(window)
            step += window.steps - window.skip
        wanted = max(0, steps - start_step)
        dataset = self._batches("train", plan, drop_remainder=True).take(wanted)
        return dataset.apply(tf.data.experimental.assert_cardinality(wanted))

    def epoch_steps(self) -> int:
        """Steps of the first pass over the training text (others differ by a few)."""
        every = windows(
            self.examples("train"), self.config.batch_size, self.config.window_shards, self.seed
        )
        return sum(w.steps for w in itertools.takewhile(lambda w: w.epoch == 0, every))

    def held_out(self) -> tf.data.Dataset:
        """One pass over the held-out documents, corrupted the same way each time.

        Returns:
            Dataset of `(features, labels, weights)`; the last batch of a window may be short.

        Raises:
            InputError: no held-out document is long enough.
        """
        if not sum(self.examples("held_out")):
            raise InputError(
                f"{self.folder}: no held-out text to evaluate on; raise corpus.held_out_fraction "
                "or add documents"
            )
        shards = range(len(self.examples("held_out")))
        size = self.config.window_shards
        groups = [tuple(shards[i : i + size]) for i in range(0, len(shards), size)]
        plan = [Window(0, index, group, steps=0) for index, group in enumerate(groups)]
        return self._batches("held_out", plan, drop_remainder=False)

    def _batches(self, split: str, plan: list[Window], drop_remainder: bool) -> tf.data.Dataset:
        shards = self.manifest.splits[split].shards
        files = [[str(self.folder / shards[s].file) for s in w.shards] for w in plan]
        records = [sum(shards[s].records for s in w.shards) for w in plan]
        split_seed = stage_seed(self.seed, split)

        def read(
            paths: tf.Tensor, count: tf.Tensor, epoch: tf.Tensor, index: tf.Tensor, skip: tf.Tensor
        ) -> tf.data.Dataset:
            seed = fold(split_seed, epoch, index)
            records = tf.data.TFRecordDataset(paths).batch(count)
            return records.map(
                lambda batch: (*self._window(self._text(batch), drop_remainder, seed), seed, skip)
            )

        def rows(
            sequences: Sequences, order: tf.Tensor, seed: tf.Tensor, skip: tf.Tensor
        ) -> tf.data.Dataset:
            numbers = tf.data.Dataset.range(skip, tf.shape(order, tf.int64)[0])
            return numbers.map(lambda n: (_rows(sequences, order[n]), fold(seed, n)))

        dataset = tf.data.Dataset.from_tensor_slices(
            (
                tf.ragged.constant(files, dtype=tf.string, ragged_rank=1),
                tf.constant(records, tf.int64),
                tf.constant([w.epoch for w in plan], tf.int64),
                tf.constant([w.index for w in plan], tf.int64),
                tf.constant([w.skip for w in plan], tf.int64),
            )
        )
        # A window is read while the batches of the one before it are corrupted.
        dataset = dataset.flat_map(read).prefetch(1).flat_map(rows)
        dataset = dataset.map(
            self._corrupt, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        return dataset.prefetch(8)

    def _text(self, records: tf.Tensor) -> Text:
        parsed = tf.io.parse_example(records, RECORD)
        dtype = tf.dtypes.as_dtype(self.manifest.token_dtype)
        ids = tf.io.decode_raw(tf.strings.reduce_join(parsed["token_ids"]), dtype)
        lengths = tf.io.decode_raw(tf.strings.reduce_join(parsed["sentence_lengths"]), tf.int32)
        sentences = tf.strings.length(parsed["sentence_lengths"]) // 4
        return Text(
            token_ids=tf.cast(ids, tf.int32),
            sentence_start=tf.concat([[0], tf.cumsum(lengths)], 0),
            first_sentence=tf.cumsum(sentences, exclusive=True),
            sentences=sentences,
            document_id=parsed["document_id"],
            is_pair=tf.cast(parsed["is_pair"], tf.int32),
        )

    def _window(
        self, text: Text, drop_remainder: bool, seed: tf.Tensor
    ) -> tuple[Sequences, tf.Tensor]:
        length = self.config.sequence_length
        pairs = anchor(text, length, self.paired, fold(seed, 0))
        for task in self.tasks:
            # Seeded by the task's name: another task in the list does not change this one's draws.
            own = fold(stage_seed(1, task.name), seed[0], seed[1])
            pairs = task.corrupt_pairs(pairs, own)
        sequences = gather_sequences(text, pairs, length, self.paired, self.table)
        order = shuffle_into_batches(
            sequences,
            self.config.batch_size,
            self.config.length_multiple,
            drop_remainder,
            fold(seed, 2),
        )
        return sequences, order

    def _corrupt(
        self, sequences: Sequences, seed: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        if self.config.length_multiple:
            sequences = _cut(sequences, self.config.length_multiple)
        extra: dict[str, tf.Tensor] = {}
        labels: dict[str, tf.Tensor] = {}
        weights: dict[str, tf.Tensor] = {}
        for task in self.tasks:
            corruption = task.corrupt(
                sequences, self.table, fold(stage_seed(0, task.name), seed[0], seed[1])
            )
            sequences = corruption.sequences
            labels[task.name], weights[task.name] = corruption.label, corruption.weight
            extra |= corruption.features
        batch = {
            names.TOKEN_IDS: sequences.token_ids,
            names.SEGMENT_IDS: sequences.segment_ids,
            names.PADDING_MASK: sequences.padding_mask,
        }
        return batch | extra, labels, weights


def _rows(sequences: Sequences, order: tf.Tensor) -> Sequences:
    """The rows of a batch; -1, which fills up a short last batch, is left out."""
    order = tf.boolean_mask(order, order >= 0)
    return Sequences(*(tf.gather(value, order) for value in sequences))


def _cut(sequences: Sequences, multiple: int) -> Sequences:
    """Drops columns that are padding in every row, down to a multiple of `multiple`."""
    longest = tf.reduce_max(tf.reduce_sum(sequences.padding_mask, axis=1))
    length = tf.minimum(-(-longest // multiple) * multiple, tf.shape(sequences.token_ids)[1])
    return Sequences(
        *(value[:, :length] if value.shape.rank == 2 else value for value in sequences)
    )
