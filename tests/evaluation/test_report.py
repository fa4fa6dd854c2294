import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierbert_tf.downstream.question_examples import GoldAnswer, QuestionExample
from hierbert_tf.downstream.text_examples import TextExample
from hierbert_tf.errors import InputError
from hierbert_tf.evaluation.report.classification import write_classification_report
from hierbert_tf.evaluation.report.highlight import highlight
from hierbert_tf.evaluation.report.page import element
from hierbert_tf.evaluation.report.questions import question_word, write_question_report
from hierbert_tf.evaluation.squad_scores import squad_scores
from hierbert_tf.models.answer_extraction import Candidate, ExtractedAnswers

EVIL = "<script>alert('1')</script>\"&\u202e\x00\ud800"
SHOWN = "<script>alert('1')</script>\"&\u202e\ufffd\ufffd"
VOID = {"meta", "path", "use", "rect"}


class Reader(HTMLParser):
    """Checks that elements nest, and keeps texts, headings, marks, names and ids."""

    def __init__(self, page):
        super().__init__()
        self.open, self.names, self.ids = [], set(), []
        self.headings, self.marks, self.text, self.figures = [], [], "", []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.names.add(tag)
        given = dict(attributes)
        if "id" in given:
            self.ids.append(given["id"])
        assert not [name for name in given if name.startswith("on")]
        if tag == "figure":
            self.figures.append(given["aria-label"])
        if tag == "mark":
            self.marks.append([given["class"], ""])
        if tag in ("h1", "h2"):
            self.headings.append("")
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if "mark" in self.open:
            self.marks[-1][1] += data
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings[-1] += data


def read(path):
    page = path.read_text(encoding="utf-8")
    # One file that asks for nothing from outside and runs nothing.
    assert not re.search(r"""(src|href)=["'](?!#)|url\((?!#)|@import""", page)
    reader = Reader(page)
    assert "script" not in reader.names
    assert len(reader.ids) == len(set(reader.ids))
    return reader


LABELS = ("contradiction", "entailment", "neutral")


def classification(path, **changes):
    examples = [TextExample(f"line {n}", f"premise {n}", f"hypothesis {n}", None) for n in range(6)]
    given = {
        "title": "A title",
        "labels": LABELS,
        "examples": examples,
        "gold": [0, 1, 2, 0, 1, 2],
        "probabilities": [
            [0.8, 0.1, 0.1],
            [0.7, 0.2, 0.1],
            [0.02, 0.95, 0.03],
            [0.5, 0.3, 0.2],
            [0.3, 0.4, 0.3],
            [0.1, 0.1, 0.8],
        ],
        "token_lengths": [5, 6, 7, 8, 9, 10],
        "facts": {"Commit": "abc123", "Data": "dev.jsonl"},
    }
    write_classification_report(path, **(given | changes))
    return read(path)


def test_classification_page_has_all_parts(tmp_path):
    page = classification(tmp_path / "new folder" / "report.html")
    assert page.headings == [
        "A title",
        "About",
        "Confusion matrix",
        "By label",
        "Calibration",
        "Accuracy by length",
        "Worst errors",
    ]
    assert "Accuracy66.7\u00a0%" in page.text
    assert "abc123" in page.text and "dev.jsonl" in page.text
    assert "always “contradiction”: 33.3\u00a0%" in page.text
    # Gold entailment: one taken for contradiction, one right.
    assert "entailment150.0\u00a0%150.0\u00a0%00.0\u00a0%2" in page.text
    assert len(page.figures) == 2
    assert "expected calibration error" in page.figures[0]


def test_worst_errors_come_by_confidence(tmp_path):
    page = classification(tmp_path / "report.html")
    errors = page.text[page.text.index("Worst errors") :]
    assert "The 2 most confident of 2 wrong predictions." in errors
    assert re.findall(r"premise \d", errors) == ["premise 2", "premise 1"]
    assert "gold neutral · predicted entailment" in errors
    assert "95.0\u00a0%" in errors


def test_at_most_thirty_errors_are_shown(tmp_path):
    count = 40
    chances = np.tile([0.9, 0.1], (count, 1))
    chances[:, 0] -= np.arange(count) / 1000
    chances[:, 1] += np.arange(count) / 1000
    page = classification(
        tmp_path / "report.html",
        labels=("a", "b"),
        examples=[TextExample(str(n), f"text {n}.", None, None) for n in range(count)],
        gold=[1] * count,
        probabilities=chances,
        token_lengths=np.arange(count),
    )
    shown = re.findall(r"text (\d+)\.", page.text)
    assert [int(number) for number in shown] == list(range(30))


def test_a_perfect_model_has_no_errors(tmp_path):
    page = classification(tmp_path / "report.html", probabilities=np.eye(3)[[0, 1, 2, 0, 1, 2]])
    assert "Every prediction is right." in page.text


def test_foreign_text_stays_text(tmp_path):
    page = classification(
        tmp_path / "report.html",
        title=EVIL,
        labels=(EVIL, EVIL + "2", "c"),
        examples=[TextExample(EVIL, EVIL, EVIL, None)] * 6,
        facts={EVIL: EVIL},
    )
    assert page.headings[0] == SHOWN
    # Title and heading, two facts, labels (headline, two tables), and in each of two errors the
    # id, both texts and the labels.
    assert page.text.count(SHOWN) >= 12
    assert "alert" not in re.sub(re.escape("alert('1')"), "", page.text)


def test_a_long_text_is_cut_with_a_count(tmp_path):
    examples = [TextExample(str(n), "x" * 100_000, None, None) for n in range(6)]
    page = classification(tmp_path / "report.html", examples=examples)
    assert "98,500 more characters" in page.text
    assert len(page.text) < 10_000


def test_the_page_is_the_same_twice(tmp_path):
    classification(tmp_path / "a.html")
    classification(tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_numbers_that_differ_are_refused(tmp_path):
    with pytest.raises(InputError, match="6 examples, 6 labels and 2 lengths"):
        classification(tmp_path / "report.html", token_lengths=[1, 2])
    with pytest.raises(InputError, match="1 questions, 0 answers and the scores of 1"):
        questions(tmp_path / "report.html", [answerable("q", "x y", "x")], [])
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        classification(tmp_path / "file" / "report.html")


def answerable(name, context, *golds, question="What is it?", title="Title"):
    answers = tuple(GoldAnswer(gold, context.index(gold)) for gold in golds)
    return QuestionExample(name, title, question, context, answers, not golds)


def found(context, text, probability=1.0, null_odds=-5.0, score=3.0):
    start = context.index(text)
    best = Candidate(text, start, start + len(text), score, probability)
    return ExtractedAnswers((best,), score + null_odds)


def questions(path, examples, answers, version="1.1", **changes):
    threshold = changes.get("null_threshold")
    golds = {one.id: [gold.text for gold in one.answers] for one in examples}
    texts = {one.id: a.text(threshold) for one, a in zip(examples, answers, strict=False)}
    scores = squad_scores(golds, texts, version)
    given = {"title": "A title", "scores": scores, "facts": {"Commit": "abc123"}}
    write_question_report(path, examples=examples, answers=answers, **(given | changes))
    return read(path)


CONTEXT = "The Rhine runs from Chur to Basel and on to Mainz."


def test_question_page_of_1_1(tmp_path):
    examples = [
        answerable("q1", CONTEXT, "Chur", question="From where does it run?"),
        answerable("q2", CONTEXT, "Basel", "to Basel", question="How much <b>?"),
        answerable("q3", CONTEXT, "Mainz", question="Name the end."),
    ]
    answers = [
        found(CONTEXT, "Chur"),
        found(CONTEXT, "Basel and on", 0.4),
        found(CONTEXT, "The Rhine", 0.9),
    ]
    page = questions(tmp_path / "report.html", examples, answers)
    assert page.headings == [
        "A title",
        "About",
        "By question word",
        "By length of the answer",
        "By length of the context",
        "Calibration",
        "Worst errors",
    ]
    assert "Exact match33.33" in page.text
    # F1 of q2 against "to Basel": 2 * (1/3) * (1/2) / (5/6); against "Basel": 2 * (1/3) / (4/3).
    assert f"F1{100 * (1 + 0.5) / 3:.2f}" in page.text
    assert "how many0.050.01" in page.text
    assert "other0.00.01" in page.text
    errors = page.text[page.text.index("Worst errors") :]
    assert "2 of 2 answers without an exact match" in errors
    assert errors.index("Name the end.") < errors.index("How much <b>?")
    assert "gold Basel | to Basel" in errors
    assert "predicted Basel and on · confidence 0.40 · F1 0.50" in errors
    assert page.marks[3:] == [
        ["predicted", "The Rhine"],
        ["gold", "Mainz"],
        ["gold", "to "],
        ["both", "Basel"],
        ["predicted", " and on"],
    ]


def test_question_page_of_2_0(tmp_path):
    examples = [
        answerable("q1", CONTEXT, "Chur"),
        answerable("q2", CONTEXT),
        answerable("q3", CONTEXT),
        answerable("q4", CONTEXT, "Mainz"),
    ]
    answers = [
        found(CONTEXT, "Chur", null_odds=-5.0),
        found(CONTEXT, "Basel", null_odds=2.0),
        found(CONTEXT, "Rhine", null_odds=-3.0),
        ExtractedAnswers((), 0.0),
    ]
    page = questions(tmp_path / "report.html", examples, answers, "2.0", null_threshold=0.0)
    assert "No answer" in page.headings
    assert "Threshold in use: 0.0000" in page.text
    assert "would be -5.0000 for exact match (75.00)" in page.text
    assert "Without an answer50.00F1 of 2; exact 50.00" in page.text
    errors = page.text[page.text.index("Worst errors") :]
    assert "gold no answer" in errors and "predicted Rhine" in errors
    assert "gold Mainz" in errors and "predicted no answer · confidence 1.00" in errors
    assert "gold Chur" not in errors
    assert "2 questions with an answer and 2 without" in page.figures[2]
    page = questions(tmp_path / "report.html", examples, answers, "2.0")
    assert "every question is answered" in page.text


def test_only_unanswerable_questions(tmp_path):
    page = questions(
        tmp_path / "report.html", [answerable("q", CONTEXT)], [found(CONTEXT, "Chur")], "2.0"
    )
    assert "No question has an answer and a predicted span." in page.text


def test_all_right(tmp_path):
    page = questions(
        tmp_path / "report.html", [answerable("q", CONTEXT, "Chur")], [found(CONTEXT, "Chur")]
    )
    assert "Every answer is an exact match." in page.text


def test_foreign_questions_stay_text(tmp_path):
    context = f"One {EVIL} two"
    example = QuestionExample(EVIL, EVIL, EVIL, context, (GoldAnswer(EVIL, 4),), False)
    answers = [found(context, "One " + EVIL)]
    page = questions(tmp_path / "report.html", [example], answers, title=EVIL, facts={EVIL: EVIL})
    assert page.marks[3:] == [["predicted", "One "], ["both", SHOWN]]
    # Title twice, fact twice, header twice, question, gold, predicted, context.
    assert page.text.count(SHOWN) == 10


def test_a_gold_answer_of_unknown_place_is_listed_only(tmp_path):
    example = QuestionExample("q", "", "What?", CONTEXT, (GoldAnswer("Bonn", -1),), False)
    page = questions(tmp_path / "report.html", [example], [found(CONTEXT, "Chur")])
    assert "gold Bonn" in page.text
    assert page.marks[3:] == [["predicted", "Chur"]]


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("What is it?", "what"),
        ("In WHICH year, and why?", "which"),
        ("To whom was it sold?", "who"),
        ("How  many?", "how"),
        ("how many?", "how many"),
        ("How much is it?", "how many"),
        ("However, name it.", "other"),
        ("", "other"),
    ],
)
def test_question_words(question, word):
    assert question_word(QuestionExample("1", "", question, "x", (), True)) == word


span = st.tuples(st.integers(0, 60), st.integers(1, 12))


@settings(max_examples=120, deadline=None)
@given(
    st.text(st.sampled_from("ab <&\"'\né\u0301字\u202eש😀\u200d "), min_size=60, max_size=90),
    st.lists(span, max_size=3),
    st.none() | span,
    st.sampled_from([0, 1000]),
)
def test_exactly_the_characters_of_the_answers_are_marked(context, gold, predicted, whole):
    gold = [(first, min(first + size, len(context))) for first, size in gold if first < 60]
    if predicted is not None:
        first, size = min(predicted[0], 59), predicted[1]
        predicted = first, min(first + size, len(context))
    page = Reader(str(highlight(context, gold, predicted, whole=whole, around=5)))
    for kind in ("gold", "predicted", "both"):
        wanted = ""
        for place, character in enumerate(context):
            is_gold = any(first <= place < last for first, last in gold)
            is_predicted = predicted is not None and predicted[0] <= place < predicted[1]
            if {"both": (True, True), "gold": (True, False), "predicted": (False, True)}[kind] == (
                is_gold,
                is_predicted,
            ):
                wanted += character
        assert "".join(text for mark, text in page.marks if mark == kind) == wanted
    if whole:
        assert page.text == context
    else:
        parts = [part.strip(" ") for part in page.text.split("[…]")]
        assert all(part in context for part in parts)


def test_a_long_context_is_cut_around_the_answers():
    context = "start " + "word " * 20_000 + "GOLD " + "word " * 20_000 + "PREDICTED end"
    gold, predicted = context.index("GOLD"), context.index("PREDICTED")
    page = Reader(str(highlight(context, [(gold, gold + 4)], (predicted, predicted + 9))))
    assert page.marks == [["gold", "GOLD"], ["predicted", "PREDICTED"]]
    assert page.text.startswith("[…] word word")
    assert "word […] word" in page.text
    assert page.text.endswith("PREDICTED end")
    assert len(page.text) < 1200


def test_a_long_context_without_answers_shows_its_beginning():
    page = Reader(str(highlight("word " * 1000, [], None)))
    assert page.text.startswith("word word") and page.text.endswith("word […]")
    assert len(page.text) < 600


def test_attributes_are_escaped():
    assert element("p", title='"><b>') == '<p title="&quot;&gt;&lt;b&gt;"></p>'
