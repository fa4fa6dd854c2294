import pytest

from hierbert_tf.downstream.example_counts import ExampleCounts


@pytest.fixture
def counts():
    counts = ExampleCounts("dev.tsv")
    for line in (2, 3, 4, 5):
        counts.take()
        if line % 2:
            counts.skip("empty text", f"line {line}")
        else:
            counts.keep()
    counts.repair("moved", "line 4")
    counts.note("no answer", "line 2")
    return counts


def test_each_reason_has_a_number_and_its_first_place(counts):
    assert (counts.read, counts.kept) == (4, 2)
    assert counts.skipped == {"empty text": 2}
    assert counts.repaired == {"moved": 1}
    assert counts.noted == {"no answer": 1}
    assert counts.first_places == {
        "empty text": "line 3",
        "moved": "line 4",
        "no answer": "line 2",
    }


def test_merge_adds_and_leaves_the_parts_alone(counts):
    other = ExampleCounts("b", read=3, kept=1)
    other.skip("empty text", "b 1")
    other.skip("short row", "b 2")
    merged = counts.merge(other, ExampleCounts("c", 1, 1))
    assert merged.source == "dev.tsv, b, c"
    assert (merged.read, merged.kept) == (8, 4)
    assert merged.skipped == {"empty text": 3, "short row": 1}
    assert merged.repaired == {"moved": 1}
    assert merged.noted == {"no answer": 1}
    assert merged.first_places["empty text"] == "line 3"
    assert merged.first_places["short row"] == "b 2"
    assert counts.skipped == {"empty text": 2}
    assert other.skipped == {"empty text": 1, "short row": 1}
    merged.skip("short row", "d")
    assert other.skipped["short row"] == 1


def test_markdown(counts):
    assert counts.to_markdown() == (
        "dev.tsv: 4 examples read, 2 kept.\n"
        "\n"
        "| | number | first at |\n"
        "|---|---:|---|\n"
        "| skipped: empty text | 2 | line 3 |\n"
        "| repaired: moved | 1 | line 4 |\n"
        "| noted: no answer | 1 | line 2 |"
    )
    assert ExampleCounts("a", 1234, 1200).to_markdown() == "a: 1,234 examples read, 1,200 kept."


def test_markdown_cells_stay_cells():
    counts = ExampleCounts("a", read=1)
    counts.skip("x|y", "b\nc")
    assert counts.to_markdown().splitlines()[-1] == r"| skipped: x\|y | 1 | b c |"
