"""Windows and labels against plain Python, and exact spans over all kinds of text."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hierbert_tf.errors import InputError
from hierbert_tf.models.question_answering_preprocessor import (
    HierarchicalBertQuestionAnsweringPreprocessor,
)
from hierbert_tf.models.tokenizer import HierarchicalBertTokenizer

LETTERS = [*"abcdeis", "語", "漢", "ש", "ل", "😀"]
ENTRIES = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *".,!?", *LETTERS,
    *(f"##{letter}" for letter in LETTERS), "cafe", "who", "is",
]  # fmt: skip
PAD, UNKNOWN, CLS, SEP = range(4)
TOKENIZER = HierarchicalBertTokenizer(ENTRIES)


def make(sequence_length=12, stride=3, max_question_length=3, length_multiple=4):
    return HierarchicalBertQuestionAnsweringPreprocessor(
        TOKENIZER, sequence_length, stride, max_question_length, length_multiple
    )


PREPROCESSOR = make()
# One graph for all texts: hypothesis would take minutes to run the ops one by one.
in_graph = tf.function(
    PREPROCESSOR.call,
    input_signature=[
        {name: tf.TensorSpec([None], tf.string) for name in ("question", "context")},
        {
            "answer_start": tf.TensorSpec([None], tf.int32),
            "answer_text": tf.TensorSpec([None], tf.string),
        },
    ],
)
windows_in_graph = tf.function(
    PREPROCESSOR.windows, input_signature=[tf.TensorSpec([None], tf.string)] * 2
)
offsets_in_graph = tf.function(
    TOKENIZER.tokenize_with_offsets, input_signature=[tf.TensorSpec([None], tf.string)]
)


def numpy(tensors):
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def reference_windows(question, context, settings):
    """Rows of (ids, segments, [first byte, end]) as BERT's run_squad cuts them, in plain Python."""
    length, stride, max_question, _ = settings
    ids, starts, ends = (part.to_list()[0] for part in offsets_in_graph(tf.constant([context])))
    asked = TOKENIZER.tokenize([question]).to_list()[0][:max_question]
    room = length - len(asked) - 3
    rows, begin = [], 0
    while True:
        piece = ids[begin : begin + room]
        spans = list(zip(starts, ends, strict=True))[begin : begin + room]
        rows.append(
            (
                [CLS, *asked, SEP, *piece, SEP],
                [0] * (len(asked) + 2) + [1] * (len(piece) + 1),
                [(-1, -1)] * (len(asked) + 2) + spans + [(-1, -1)],
            )
        )
        if begin + room >= len(ids):
            return rows
        begin += stride


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.text("ab ?", max_size=12), st.text("abcé .語", max_size=60)),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 5),
)
def test_windows_equal_run_squads(pairs, stride):
    settings = (12, stride, 4, 4)
    found = numpy(make(*settings).windows(*map(list, zip(*pairs, strict=True))))
    expected = [
        (number, *row)
        for number, pair in enumerate(pairs)
        for row in reference_windows(*pair, settings)
    ]
    assert found["example"].tolist() == [row[0] for row in expected]
    longest = max(len(row[1]) for row in expected)
    width = min(12, -(-longest // 4) * 4)
    assert found["token_ids"].shape == (len(expected), width)
    for row, (_, ids, segments, spans) in enumerate(expected):
        padding = width - len(ids)
        assert found["token_ids"][row].tolist() == ids + [PAD] * padding
        assert found["segment_ids"][row].tolist() == segments + [0] * padding
        assert found["padding_mask"][row].tolist() == [1] * len(ids) + [0] * padding
        spans = spans + [(-1, -1)] * padding
        assert found["first_byte"][row].tolist() == [first for first, _ in spans]
        assert found["end_byte"][row].tolist() == [end for _, end in spans]


CHARACTERS = st.one_of(
    st.sampled_from(
        [*"abcé ?.,", "  ", "\r\n", "\t", "語", "漢", "ש", "ل", "😀", "👩‍👩‍👧", "e\u0301"]
    ),
    st.sampled_from(["ß", "ﬁ", "İ", "\u200b", "\x00", "\ufeff", "\u202e", "\u00a0", "각", "ǆ"]),
    st.characters(exclude_categories=["Cs"]),
)


@st.composite
def answered(draw):
    """A question, a context, and an answer somewhere in it."""
    context = "".join(draw(st.lists(CHARACTERS, min_size=1, max_size=40)))
    start = draw(st.integers(0, len(context) - 1))
    length = draw(st.integers(1, len(context) - start))
    return draw(st.text("ab?", max_size=8)), context, start, context[start : start + length]


def answer_tokens(context, start, text):
    """Spans of the context's tokens that overlap the answer, in characters."""
    _, starts, ends = (part.to_list()[0] for part in offsets_in_graph(tf.constant([context])))
    data = context.encode()
    spans = [
        (len(data[:first].decode()), len(data[:end].decode()))
        for first, end in zip(starts, ends, strict=True)
    ]
    return [span for span in spans if span[1] > start and span[0] < start + len(text)]


@settings(max_examples=150, deadline=None)
@given(st.lists(answered(), min_size=1, max_size=4))
@example([("who?", "Café  Café", 6, "Café")])
@example([("who?", "a😀b 😀c", 4, "😀c")])
@example([("who?", "a\r\nb\nc\rd", 3, "b\nc\rd")])
@example([("who?", "שלום ل", 5, "ل")])
@example([("who?", "e\u0301a e\u0301", 4, "e\u0301")])
@example([("", "ß", 0, "ß"), ("a", "\u200b", 0, "\u200b"), ("a", "a", 0, "a")])
def test_labels_cover_exactly_the_tokens_of_the_answer(examples):
    questions, contexts, starts, texts = zip(*examples, strict=True)
    _, labels, weights = in_graph(
        {"question": tf.constant(questions), "context": tf.constant(contexts)},
        {"answer_start": tf.constant(starts), "answer_text": tf.constant(texts)},
    )
    labels, weights = numpy(labels), weights.numpy()
    windows = numpy(windows_in_graph(tf.constant(questions), tf.constant(contexts)))
    for number, (_, context, start, text) in enumerate(examples):
        data = context.encode()
        gold = answer_tokens(context, start, text)
        rows = np.flatnonzero(windows["example"] == number)
        assert set(weights[rows]) == {1.0 if gold else 0.0}
        seen = set()
        for row in rows:
            first, end = windows["first_byte"][row], windows["end_byte"][row]
            here = [
                (len(data[:a].decode()), len(data[:b].decode()))
                for a, b in zip(first, end, strict=True)
                if a >= 0
            ]
            seen.update(here)
            label = labels["answer_start"][row], labels["answer_end"][row]
            if gold and gold[0] in here and gold[-1] in here:
                span = data[first[label[0]] : end[label[1]]].decode()
                assert span == context[gold[0][0] : gold[-1][1]]
                assert first[label[0]] == len(context[: gold[0][0]].encode())
            else:
                assert label == (0, 0)
        assert seen >= set(gold)


@pytest.mark.parametrize(
    "context",
    ["Café is  ici", "a 😀  b", "語漢 a", "ש ل a", "a\r\nb\nc\rd", "e\u0301 a", "x\ufeff\u200bb"],
)
def test_each_token_is_its_text(context):
    windows = numpy(PREPROCESSOR.windows(["who?"], [context]))
    data = context.encode()
    for row in range(len(windows["example"])):
        for token, first, end in zip(
            *(windows[name][row] for name in ("token_ids", "first_byte", "end_byte")), strict=True
        ):
            if first < 0:
                assert end == -1
                continue
            text = data[first:end].decode()
            assert text and not text.isspace()
            again = TOKENIZER.tokenize([text]).to_list()[0]
            # Alone it is a word's beginning, or all of it unknown.
            assert ENTRIES[token].removeprefix("##") == ENTRIES[again[0]] or token == UNKNOWN


def test_a_long_context_has_its_every_token_in_a_window():
    context = "abc de, " * 12_500
    assert len(context) == 100_000
    preprocessor = make(64, 20, 4, 0)
    start = len(context) - 8
    features, labels, weights = preprocessor(
        {"question": ["who?"], "context": [context]},
        {"answer_start": [start], "answer_text": ["abc de"]},
    )
    windows = numpy(preprocessor.windows("who?", context))
    tokens = sum(map(len, TOKENIZER.tokenize([context]).to_list()))
    firsts = windows["first_byte"]
    assert len(np.unique(firsts[firsts >= 0])) == len(set(range(0, 100_000, 8))) * 6 == tokens
    assert features["token_ids"].shape == (1 + -(-(tokens - 59) // 20), 64)
    labelled = np.flatnonzero(labels["answer_start"].numpy())
    assert labelled[-1] == len(windows["example"]) - 1 and weights.numpy().min() == 1.0
    for row in labelled:
        span = labels["answer_start"][row], labels["answer_end"][row]
        assert firsts[row, span[0]] == start and windows["end_byte"][row, span[1]] == start + 6


def test_an_answer_across_two_windows_is_in_neither():
    x = {"question": ["a"], "context": ["a b c d e"]}
    preprocessor = make(7, 3, 1, 0)  # windows "a b c" and "d e"
    _, labels, weights = preprocessor(x, {"answer_start": [4], "answer_text": ["c d"]})
    assert labels["answer_start"].numpy().tolist() == [0, 0]
    assert labels["answer_end"].numpy().tolist() == [0, 0]
    assert weights.numpy().tolist() == [1.0, 1.0]


def test_no_answer_and_wrong_answers():
    x = {"question": ["a"] * 5, "context": ["a b", "a b", "a b", "é b", "a b"]}
    y = {"answer_start": [0, 1, -2, 9, 2], "answer_text": ["", "b", "a", "b", "b"]}
    _, labels, weights = PREPROCESSOR(x, y, sample_weight=[2.0, 1.0, 1.0, 1.0, 3.0])
    # No answer is learnt; one that does not stand where it should is not.
    assert weights.numpy().tolist() == [2.0, 0.0, 0.0, 0.0, 3.0]
    assert labels["answer_start"].numpy().tolist() == [0, 0, 0, 0, 4]
    assert labels["answer_end"].numpy().tolist() == [0, 0, 0, 0, 4]


def test_a_part_of_a_token_is_the_whole_token():
    _, labels, weights = PREPROCESSOR(
        {"question": ["a"], "context": ["cafe b"]}, {"answer_start": [2], "answer_text": ["fe"]}
    )
    assert labels["answer_start"].numpy().tolist() == [3] and weights.numpy().tolist() == [1.0]


def test_an_empty_context_is_one_window_without_tokens():
    windows = numpy(PREPROCESSOR.windows(["a b", "a"], ["", "b"]))
    ids = TOKENIZER.tokenize(["a b"]).to_list()[0]
    assert windows["token_ids"][0].tolist() == [CLS, *ids, SEP, SEP, 0, 0, 0]
    assert (windows["first_byte"][0] == -1).all()
    assert windows["padding_mask"].sum(axis=1).tolist() == [5, 5]


def test_nothing_at_all_is_no_window():
    features = PREPROCESSOR(
        {"question": tf.zeros([0], tf.string), "context": tf.zeros([0], tf.string)}
    )
    assert features["token_ids"].shape == (0, 4)


def test_bytes_that_are_no_text_do_not_crash():
    contexts = [b"a \xff\xfe b", b"\xf0\x9f\x98", b"ok", b"\x80a"]
    features, labels, _ = PREPROCESSOR(
        {"question": [b"\xc3"] * 4, "context": contexts},
        {"answer_start": [5, 0, 0, 0], "answer_text": [b"b", b"\xf0\x9f\x98", b"ok", b"\x80"]},
    )
    windows = numpy(PREPROCESSOR.windows([b"\xc3"] * 4, contexts))
    row = np.flatnonzero(windows["example"] == 0)[-1]
    place = int(labels["answer_start"][row])
    assert contexts[0][windows["first_byte"][row, place] : windows["end_byte"][row, place]] == b"b"
    assert (features["token_ids"].numpy() == windows["token_ids"]).all()


def test_a_graph_and_tf_data_give_the_same():
    questions, contexts = ["who is?", "b"], ["a b c é. " * 5, "語"]
    y = {"answer_start": [4, 0], "answer_text": ["c", "語"]}
    x = {"question": questions, "context": contexts}
    expected = PREPROCESSOR(x, y)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(2).map(PREPROCESSOR)
    constants = tuple({name: tf.constant(v) for name, v in part.items()} for part in (x, y))
    for found in (in_graph(*constants), next(iter(dataset))):
        for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
            np.testing.assert_array_equal(one, other)


def test_it_is_restored_from_its_config():
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(PREPROCESSOR))
    assert again.get_config() == PREPROCESSOR.get_config()
    assert (again.sequence_length, again.stride) == (12, 3)
    assert (again.max_question_length, again.length_multiple) == (3, 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((10, 3, 7, 0), "leaves no token for the context"),
        ((12, 7, 3, 0), "would skip tokens: a window has room for 6"),
        ((12, 0, 3, 0), "at least 1"),
        ((12, 3, 0, 0), "at least 1"),
        ((12, 3, 3, -1), "at least 1"),
    ],
)
def test_settings_that_cannot_work(settings, message):
    with pytest.raises(InputError, match=message):
        make(*settings)


def test_inputs_of_another_form():
    with pytest.raises(InputError, match="x must be a dict"):
        PREPROCESSOR(["a"])
    with pytest.raises(InputError, match="x must be a dict"):
        PREPROCESSOR({"question": ["a"]})
    with pytest.raises(InputError, match="y must be a dict"):
        PREPROCESSOR({"question": ["a"], "context": ["a"]}, {"answer_start": [1]})
    with pytest.raises(InputError, match="1 questions and 2 contexts"):
        PREPROCESSOR({"question": ["a"], "context": ["a", "b"]})
