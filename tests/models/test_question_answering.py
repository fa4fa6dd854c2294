"""The question-answering model: what it learns, what it answers, what it saves."""

import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from hierbert_tf.errors import InputError
from hierbert_tf.layers.span_mask import MASKED_LOGIT
from hierbert_tf.models.answer_extraction import extract_answers
from hierbert_tf.models.question_answering import HierarchicalBertQuestionAnswering
from hierbert_tf.models.question_answering_preprocessor import (
    HierarchicalBertQuestionAnsweringPreprocessor,
)
from hierbert_tf.models.question_texts import as_strings, check_answers, questions_and_contexts
from hierbert_tf.models.text_classifier import HierarchicalBertTextClassifier
from hierbert_tf.training.optimizer import AdamW
from tests.models.tiny_encoder import tiny_backbone, tiny_tokenizer


def make_model(sequence_length=16, backbone=None, **settings):
    return HierarchicalBertQuestionAnswering(
        backbone or tiny_backbone(dropout=0.0, attention_dropout=0.0),
        preprocessor=HierarchicalBertQuestionAnsweringPreprocessor(
            tiny_tokenizer(),
            sequence_length=sequence_length,
            stride=5,
            max_question_length=2,
            length_multiple=8,
        ),
        **{"dropout": 0.0, "seed": 5, **settings},
    )


def make_examples(number=32):
    """The answer is the word after the one that is asked for; some words are not there."""
    random = np.random.default_rng(7)
    questions, contexts, starts, texts = [], [], [], []
    for _ in range(number):
        words = [f"W{word}" for word in random.permutation(10)[:6]]
        place = int(random.integers(0, 5))
        questions.append(words[place].lower())
        contexts.append("  ".join(words))
        starts.append(sum(len(word) + 2 for word in words[: place + 1]))
        texts.append(words[place + 1])
    for place in range(0, number, 8):
        # Not answerable: another word asked for.
        absent = next(f"w{word}" for word in range(10) if f"W{word}" not in contexts[place])
        questions[place], starts[place], texts[place] = absent, 0, ""
    return (
        {"question": questions, "context": contexts},
        {"answer_start": starts, "answer_text": texts},
    )


@pytest.fixture(scope="module")
def examples():
    return make_examples()


@pytest.fixture(scope="module")
def trained(examples):
    """Fitted on strings until it knows its 32 examples by heart."""
    keras.utils.set_random_seed(1)
    model = make_model(backbone=tiny_backbone(dropout=0.0, attention_dropout=0.0, hidden_dim=32))
    # BERT's small initial weights take long to leave; the test has not long.
    for weight in model.trainable_weights:
        if weight.name in ("kernel", "embeddings"):
            weight.assign(weight.numpy() * 4)
    model.compile(optimizer=AdamW(6e-3, weight_decay=0.0))
    # Ten copies an epoch: a step takes less than what Keras does around an epoch.
    x, y = ({name: values * 10 for name, values in part.items()} for part in examples)
    model.fit(x, y, batch_size=16, epochs=7, verbose=0)
    return model


def test_it_overfits_32_examples_to_exact_match(trained, examples):
    x, y = examples
    trained.null_threshold = 0.0
    answers = trained.predict(x, batch_size=8, verbose=0)
    trained.null_threshold = None
    assert answers["answer"].tolist() == y["answer_text"]
    has_answer = np.array(y["answer_text"]) != ""
    np.testing.assert_array_equal(answers["start"], np.where(has_answer, y["answer_start"], -1))
    np.testing.assert_array_equal(answers["null_score"] > answers["score"], ~has_answer)
    logs = trained.evaluate(x, y, verbose=0, return_dict=True)
    assert logs["answer_start_accuracy"] == logs["answer_end_accuracy"] == 1.0


def test_without_threshold_each_question_is_answered(trained, examples):
    x, _ = examples
    answers = trained.predict(x, verbose=0)
    assert all(answers["answer"])
    for context, text, start, end in zip(
        x["context"], answers["answer"], answers["start"], answers["end"], strict=True
    ):
        assert context[start:end] == text


def test_answers_equal_logits_extracted_by_hand(trained, examples):
    x, _ = examples
    questions, contexts = x["question"][:5], [text * 4 for text in x["context"][:5]]
    windows = trained.preprocessor.windows(questions, contexts)
    windows = {name: value.numpy() for name, value in windows.items()}
    assert len(windows["example"]) > 5
    names = ("token_ids", "segment_ids", "padding_mask")
    logits = trained({name: windows[name] for name in names})
    expected = extract_answers(
        logits["answer_start"], logits["answer_end"], windows, contexts, n_best=20
    )
    # Two windows at once: a long context is run in parts, and the order comes back.
    found = trained.answer(questions, contexts, n_best=20, batch_size=2)
    for one, other in zip(found, expected, strict=True):
        assert [(c.start, c.end) for c in one.candidates[:3]] == [
            (c.start, c.end) for c in other.candidates[:3]
        ]
        np.testing.assert_allclose(one.null_score, other.null_score, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(one.best.score, other.best.score, rtol=1e-4, atol=1e-4)
    few = trained.answer(questions, contexts, n_best=2, batch_size=2)
    assert [item.candidates for item in few] == [item.candidates[:2] for item in found]


def test_logits_are_of_context_and_cls_alone(trained):
    features = trained.preprocessor({"question": ["w1 w2"], "context": ["w3"]})
    logits = trained(features)
    for name in ("answer_start", "answer_end"):
        masked = logits[name].numpy()[0] == MASKED_LOGIT
        # [CLS] w1 w2 [SEP] w3 [SEP] and padding
        assert masked.tolist() == [False, True, True, True, False, True, True, True]


def test_padding_and_other_rows_change_nothing(trained):
    short = trained.preprocessor({"question": ["w1"], "context": ["w3 w4"]})
    both = trained.preprocessor({"question": ["w1", "w2"], "context": ["w3 w4", "w1 " * 9]})
    one, other = trained(short), trained(both)
    width = short["token_ids"].shape[1]
    for name, values in one.items():
        np.testing.assert_allclose(values[0], other[name][0, :width], rtol=1e-5, atol=1e-5)


def test_a_question_with_a_long_context_and_one_without_any(trained):
    answers = trained.predict(
        {"question": ["w1", "w1"], "context": ["w3 w1 w5. " * 300, "\u200b"]}, verbose=0
    )
    assert answers["answer"][0] and answers["answer"][1] == ""
    assert answers["start"][1] == answers["end"][1] == -1
    assert answers["score"][1] == -np.inf and np.isfinite(answers["null_score"]).all()


def test_a_lone_surrogate_does_not_stop_it(trained):
    context = "w1 \ud800é w2"
    (answers,) = trained.answer(["w1 \udfff"], [context], n_best=20)
    assert {c.text for c in answers.candidates} >= {"w1", "w2", "\ud800é w2"}
    assert all(context[c.start : c.end] == c.text for c in answers.candidates)


def test_a_dataset_of_strings_gives_the_same(trained, examples):
    x, y = examples
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(5)
    expected = trained.predict(x, verbose=0)
    found = trained.predict(dataset, verbose=0)
    assert found["answer"].tolist() == expected["answer"].tolist()
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-4, atol=1e-4)


def test_features_pass_through(trained, examples):
    features, labels, weights = trained.preprocessor(*examples)
    of_features = trained.evaluate(features, labels, sample_weight=weights, verbose=0)
    np.testing.assert_allclose(
        of_features, trained.evaluate(*examples, verbose=0), rtol=1e-4, atol=1e-5
    )
    logits = trained.predict(features, verbose=0)
    np.testing.assert_allclose(
        logits["answer_start"], trained(features)["answer_start"], rtol=1e-4, atol=1e-4
    )


def test_the_loss_is_the_mean_of_both_ends_over_the_weights():
    model = make_model()
    x = {"question": ["w1", "w2"], "context": ["w3 w4 w5", "w6 w7"]}
    y = {"answer_start": [3, 0], "answer_text": ["w4 w5", "w6"]}
    features, labels, _ = model.preprocessor(x, y)
    logits = model(features)
    weights = np.array([3.0, 1.0])
    expected = 0.0
    for name in ("answer_start", "answer_end"):
        values = logits[name].numpy().astype("float64")
        logarithms = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
        picked = logarithms[[0, 1], labels[name].numpy()]
        expected -= (weights * picked).sum() / weights.sum() / 2
    logs = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


def test_an_example_without_weight_changes_no_loss():
    model = make_model()
    x = {"question": ["w1", "w1"], "context": ["w3 w4", "w5 w6"]}
    dataset = tf.data.Dataset.from_tensor_slices(
        # The second answer is not there.
        (x, {"answer_start": [3, 3], "answer_text": ["w4", "w9"]})
    )
    one = model.evaluate(dataset.take(1).batch(1), verbose=0)
    np.testing.assert_allclose(model.evaluate(dataset.batch(2), verbose=0), one, rtol=1e-5)


@pytest.mark.parametrize("layer", [None, 0, 1, 2, "mix"])
def test_the_head_reads_its_layer(layer):
    model = make_model(layer=layer)
    features = model.preprocessor({"question": ["w1"], "context": ["w3 w4"]})
    outputs = model.backbone(features)
    layers = [outputs[f"layer_{number}"].numpy() for number in range(3)]
    read = np.mean(layers, axis=0) if layer == "mix" else layers[2 if layer is None else layer]
    logits = read @ model.output_dense.kernel.numpy() + model.output_dense.bias.numpy()
    starts = model(features)["answer_start"].numpy()
    np.testing.assert_allclose(starts[0, 3:5], logits[0, 3:5, 0], rtol=1e-5, atol=1e-6)
    assert model.get_config()["layer"] == layer


def test_the_same_seed_gives_the_same_head():
    kernel = make_model().output_dense.kernel.numpy()
    np.testing.assert_array_equal(kernel, make_model().output_dense.kernel.numpy())
    assert not np.array_equal(kernel, make_model(seed=6).output_dense.kernel.numpy())


def test_logits_are_float32_under_mixed_precision():
    model = make_model(backbone=tiny_backbone(dtype="mixed_bfloat16"))
    features = model.preprocessor({"question": ["w1"], "context": ["w3 w4"]})
    assert {value.dtype for value in model(features).values()} == {tf.float32}


def test_presets_and_keras_files_answer_the_same_in_a_fresh_process(trained, examples, tmp_path):
    x, _ = examples
    trained.null_threshold = 0.5
    expected = trained.predict(x, verbose=0)
    trained.save(tmp_path / "model.keras")
    trained.save_to_preset(str(tmp_path / "preset"))
    trained.null_threshold = None
    (tmp_path / "x.json").write_text(json.dumps(x))
    program = f"""
        import json, keras, numpy as np
        import hierbert_tf
        from hierbert_tf.models.question_answering import HierarchicalBertQuestionAnswering
        x = json.load(open({str(tmp_path / "x.json")!r}))
        models = [keras.saving.load_model({str(tmp_path / "model.keras")!r}),
                  HierarchicalBertQuestionAnswering.from_preset({str(tmp_path / "preset")!r})]
        for number, model in enumerate(models):
            assert type(model) is HierarchicalBertQuestionAnswering
            assert model.null_threshold == 0.5 and model.preprocessor.stride == 5
            found = model.predict(x, verbose=0)
            np.savez({str(tmp_path)!r} + f"/{{number}}.npz",
                     **{{**found, "answer": found["answer"].astype(str)}})
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)
    for number in (0, 1):
        found = np.load(tmp_path / f"{number}.npz")
        assert found["answer"].tolist() == expected["answer"].tolist()
        for name in ("start", "end", "score", "null_score"):
            # Threads add in another order in another process.
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-5)


def test_a_new_head_on_a_pretrained_encoder(tmp_path):
    backbone = tiny_backbone()
    backbone.save_to_preset(str(tmp_path / "encoder"))
    tiny_tokenizer().save_to_preset(str(tmp_path / "encoder"))
    # By the run's folder; the encoder has 32 positions.
    model = HierarchicalBertQuestionAnswering.from_preset(tmp_path, layer=1, seed=4)
    assert (model.layer, model.preprocessor.sequence_length) == (1, 32)
    assert (model.preprocessor.max_question_length, model.preprocessor.stride) == (8, 10)
    np.testing.assert_array_equal(
        model.backbone.token_embedding.embeddings, backbone.token_embedding.embeddings
    )
    # Another task's preset: its encoder is taken, its head and preprocessor are not.
    HierarchicalBertTextClassifier(backbone, num_classes=2).save_to_preset(str(tmp_path / "other"))
    tiny_tokenizer().save_to_preset(str(tmp_path / "other"))
    other = HierarchicalBertQuestionAnswering.from_preset(
        tmp_path / "other", dtype="mixed_bfloat16"
    )
    assert other.backbone.dtype_policy.name == "mixed_bfloat16"
    assert type(other.preprocessor) is HierarchicalBertQuestionAnsweringPreprocessor


def test_for_positions_has_berts_settings_where_they_fit():
    make = HierarchicalBertQuestionAnsweringPreprocessor.for_positions
    settings = [
        (p.sequence_length, p.max_question_length, p.stride)
        for p in (make(tiny_tokenizer(), positions) for positions in (512, 384, 128, 6))
    ]
    assert settings == [(384, 64, 128), (384, 64, 128), (128, 32, 46), (6, 1, 1)]


def test_settings_that_do_not_fit():
    with pytest.raises(InputError, match="32 positions: make it shorter"):
        make_model(sequence_length=40)
    with pytest.raises(InputError, match="cannot read layer 3"):
        make_model(layer=3)
    with pytest.raises(InputError, match="max_answer_length is 0"):
        make_model(max_answer_length=0)


def test_inputs_that_do_not_fit(trained):
    without = HierarchicalBertQuestionAnswering(tiny_backbone())
    texts = {"question": ["w1"], "context": ["w2"]}
    for call in (without.predict, without.evaluate, lambda x: without.answer(**x_as_lists(x))):
        with pytest.raises(InputError, match="has no preprocessor"):
            call(texts)
    with pytest.raises(InputError, match="1 questions and 2 contexts"):
        trained.answer(["w1"], ["w2", "w3"])
    with pytest.raises(InputError, match="must be at least 1"):
        trained.answer(["w1"], ["w2"], n_best=0)
    with pytest.raises(InputError, match="put it into a list"):
        trained.predict({"question": "w1", "context": "w2"})
    with pytest.raises(InputError, match="takes no steps"):
        trained.predict(texts, steps=3)
    with pytest.raises(InputError, match=r"2 of 3 answers are not .* example 1: 'w9'"):
        trained.fit(
            {"question": ["w1"] * 3, "context": ["w2 w3"] * 3},
            {"answer_start": [3, 0, -2], "answer_text": ["w3", "w9", "w3"]},
        )
    assert trained.answer([], []) == []


def x_as_lists(x):
    return {"questions": x["question"], "contexts": x["context"]}


def test_texts_of_all_forms():
    assert as_strings(tf.constant(["é", "b"])) == ["é", "b"]
    assert as_strings(np.array([["a"], ["b"]])) == ["a", "b"]
    assert as_strings((b"a\xff",)) == ["a\ufffd"]
    with pytest.raises(InputError, match="not 3"):
        as_strings(["a", 3])
    assert questions_and_contexts({"token_ids": 1}) is None
    features = tf.data.Dataset.from_tensor_slices({"token_ids": [1]})
    assert questions_and_contexts(features) is None
    with pytest.raises(InputError, match="1 contexts, 2 answer_start and 1 answer_text"):
        check_answers(["a"], [0, 1], ["a"])
    check_answers(["a", "b"], [0, 9], ["a", ""])
