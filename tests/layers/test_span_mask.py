import keras
import numpy as np

from hierbert_tf.layers.span_mask import MASKED_LOGIT, SpanMask

# [CLS] q [SEP] c c [SEP] [PAD]; [CLS] [SEP] [SEP]; to the last position; no second segment.
SEGMENTS = np.array(
    [
        [0, 0, 0, 1, 1, 1, 0],
        [0, 0, 1, 0, 0, 0, 0],
        [0, 0, 1, 1, 1, 1, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    "int32",
)
ALLOWED = np.array(
    [
        [1, 0, 0, 1, 1, 0, 0],
        [1, 0, 0, 0, 0, 0, 0],
        [1, 0, 1, 1, 1, 1, 0],
        [1, 0, 0, 0, 0, 0, 0],
    ],
    bool,
)


def test_context_and_cls_keep_their_logits():
    logits = np.random.default_rng(1).normal(size=[4, 7, 2]).astype("float32")
    for number, found in enumerate(SpanMask()(logits, segment_ids=SEGMENTS)):
        expected = np.where(ALLOWED, logits[:, :, number], MASKED_LOGIT)
        np.testing.assert_array_equal(found, expected.astype("float32"))


def test_logits_are_float32_under_mixed_precision():
    layer = SpanMask(dtype="mixed_float16")
    logits = np.ones([4, 7, 2], "float16")
    assert {str(output.dtype) for output in layer(logits, segment_ids=SEGMENTS)} <= {
        "<dtype: 'float32'>"
    }
    assert all(np.isfinite(np.asarray(output) * 2).all() for output in layer(logits, SEGMENTS))


def test_shapes_are_known_without_values():
    logits, segments = keras.Input([None, 2]), keras.Input([None], dtype="int32")
    starts, ends = SpanMask()(logits, segment_ids=segments)
    assert starts.shape == ends.shape == (None, None)
