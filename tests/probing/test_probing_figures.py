"""What the figures of a probing run draw, and that nothing in them overlaps."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from hierbert_tf.probing.figures import heat_map, layer_lines, probing_figures, selectivity_map
from hierbert_tf.probing.scores import PRE_TRAINED, RANDOM_WEIGHTS, ProbeScore

HEADS = [("next_sentence", 1), ("bigram_shift", 1), ("masked_lm", 2)]


def made(tasks, layers, seeds=(1, 2), control=True, random=True, pooling="cls"):
    """Pre-trained: majority 0.5 + 0.1 a layer + 0.02 a seed; random weights 0.1 below."""
    found = []
    for task, layer, seed in itertools.product(tasks, layers, seeds):
        test = min(0.5 + 0.1 * layer + 0.02 * seed, 1.0)
        noise = 0.5 - 0.01 * seed if control else None
        common = ("mlp", seed, "hidden 50", 4, 100, 0.5)
        found.append(
            ProbeScore(
                task, PRE_TRAINED, pooling, layer, *common, test, test, noise,
                None if noise is None else test - noise,
            )
        )  # fmt: skip
        if random:
            found.append(
                ProbeScore(task, RANDOM_WEIGHTS, pooling, layer, *common, -layer, test - 0.1)
            )
    return found


def drawn(axis):
    return np.ma.filled(axis.images[0].get_array(), np.nan)


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def test_heat_map_has_layers_upward_and_the_baselines_below():
    axis = heat_map(made(["bigram_shift", "tree_depth"], (0, 1, 2)), HEADS, "cls").axes[0]
    assert labels(axis.get_xticklabels()) == ["tree depth", "bigram shift"]
    assert labels(axis.get_yticklabels()) == [
        "majority", "random weights,\nbest layer", "0", "1", "2",
    ]  # fmt: skip
    assert axis.images[0].origin == "lower"
    # Validation of random weights is best at layer 0; colours are above the majority.
    np.testing.assert_allclose(drawn(axis)[:, 0], [0, -0.07, 0.03, 0.13, 0.23], atol=1e-9)
    assert [text.get_text() for text in axis.texts][::2] == [
        "50.0", "43.0", "53.0", "63.0", "73.0",
    ]  # fmt: skip


def test_heat_map_draws_the_heads_at_their_layers():
    axis = heat_map(made(["a", "b"], (0, 1, 2)), HEADS, "cls").axes[0]
    (right,) = axis.child_axes
    assert list(right.get_yticks()) == [3, 4]  # two rows of baselines lie below layer 0
    assert labels(right.get_yticklabels()) == ["◀ next sentence, bigram shift", "◀ masked LM"]
    assert not heat_map(made(["a"], (0,)), [], "cls").axes[0].child_axes


def test_a_head_at_a_layer_that_was_not_probed_has_an_empty_row():
    axis = heat_map(made(["a"], (0, 2)), HEADS, "cls").axes[0]
    assert labels(axis.get_yticklabels())[2:] == ["0", "1", "2"]
    np.testing.assert_allclose(drawn(axis)[2:, 0], [0.03, np.nan, 0.23])
    assert axis.texts[3].get_text() == ""


def test_heat_map_without_random_weights():
    axis = heat_map(made(["a"], (0,), random=False), [], "cls").axes[0]
    assert labels(axis.get_yticklabels()) == ["majority", "0"]


def test_selectivity_map_draws_the_difference_itself():
    axis = selectivity_map(made(["a"], (0, 1)), [], "cls").axes[0]
    np.testing.assert_allclose(drawn(axis), [[0.045], [0.145]])
    assert [text.get_text() for text in axis.texts] == ["+4.5", "+14.5"]


def test_lines_have_a_panel_a_task_with_means_and_deviations():
    figure = layer_lines(made(["a", "b"], (0, 1, 2)), HEADS, "cls")
    axis, _ = figure.axes
    random, control, ours = axis.containers
    np.testing.assert_allclose(ours.lines[0].get_xydata(), [[0, 53], [1, 63], [2, 73]])
    np.testing.assert_allclose(random.lines[0].get_ydata(), [43, 53, 63])
    np.testing.assert_allclose(control.lines[0].get_ydata(), [48.5] * 3)
    (lower, upper) = (cap.get_ydata() for cap in ours.lines[1])
    np.testing.assert_allclose(upper - lower, np.full(3, 2 * np.std([52, 54], ddof=1)))
    (majority,) = [line for line in axis.lines if line.get_label() == "majority"]
    assert set(majority.get_ydata()) == {50} and majority.is_dashed()
    upright = [line.get_xdata()[0] for line in axis.lines if line.get_color() == "#d1642b"]
    assert upright == [1, 2]
    assert [text.get_text() for text in axis.texts] == ["next sentence\nbigram shift", "masked LM"]
    (legend,) = figure.legends
    assert labels(legend.get_texts()) == [
        "majority", "random weights", "pre-trained, on random labels", "pre-trained",
    ]  # fmt: skip


def test_one_seed_has_no_bars():
    figure = layer_lines(made(["a"], (0, 1), seeds=(1,), control=False, random=False), [], "cls")
    (ours,) = figure.axes[0].containers
    assert not ours.has_yerr and "bars" not in figure.get_suptitle()
    assert "over 2 seeds" in layer_lines(made(["a"], (0, 1)), [], "cls").get_suptitle()


def test_a_small_difference_does_not_fill_the_panel():
    scores = made(["a"], (0,), control=False, random=False)
    low, high = layer_lines(scores, [], "cls").axes[0].get_ylim()
    assert high - low >= 10


def test_an_unknown_pooling_is_refused():
    for draw in (heat_map, selectivity_map, layer_lines):
        with pytest.raises(ValueError, match="'mean'"):
            draw(made(["a"], (0,)), [], "mean")


def test_the_figures_by_name():
    assert [name for name, _ in probing_figures(made(["a"], (0,)), [], "cls")] == [
        "heat_map", "lines", "selectivity",
    ]  # fmt: skip
    without = made(["a"], (0,), control=False)
    assert [name for name, _ in probing_figures(without, [], "cls")] == ["heat_map", "lines"]


SENTEVAL = [
    "sentence_length", "word_content", "tree_depth", "top_constituents", "bigram_shift",
    "past_present", "subj_number", "obj_number", "odd_man_out", "coordination_inversion",
]  # fmt: skip


@pytest.mark.parametrize(
    ("tasks", "layers", "heads"),
    [
        (SENTEVAL, 5, HEADS),
        (SENTEVAL, 13, [("next_sentence", 6), ("bigram_shift", 7), ("masked_lm", 12)]),
        (["a_task_with_a_very_long_name_of_its_own", "b"], 13,
         [("masked_lm", 0), ("next_sentence", 0), ("sentence_order", 1), ("bigram_shift", 1)]),
        (["a"], 1, []),
        (["a", "b"], 5, HEADS),
    ],
)  # fmt: skip
def test_nothing_overlaps_or_is_cut(tasks, layers, heads):
    for _, figure in probing_figures(made(tasks, range(layers)), heads, "cls"):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        whole = figure.bbox
        for legend in figure.legends:
            box = legend.get_window_extent(renderer)
            assert whole.x0 <= box.x0 and box.x1 <= whole.x1, "legend"
        for axis in figure.axes:
            if axis.get_label() == "<colorbar>":
                continue
            texts = [*axis.texts, *axis.get_yticklabels(), *axis.get_xticklabels()]
            for child in axis.child_axes:
                texts += child.get_yticklabels()
            turned = axis.get_xticklabels() if axis.images else []
            boxes = []
            for text in texts:
                box = text.get_window_extent(renderer)
                assert whole.x0 - 1 <= box.x0 and box.x1 <= whole.x1 + 1, text
                assert whole.y0 - 1 <= box.y0 and box.y1 <= whole.y1 + 1, text
                if text.get_text() and text not in turned:  # a turned name's box is not its ink
                    boxes.append((text.get_text(), box))
            for (one, first), (other, second) in itertools.combinations(boxes, 2):
                assert not first.overlaps(second), (one, other)
            for text in axis.texts if not axis.images else []:
                # A head's name hides no data and reaches no other head's line.
                box = text.get_window_extent(renderer).transformed(axis.transData.inverted())
                data = [line.get_ydata() for group in axis.containers for line in [group.lines[0]]]
                assert box.y0 > np.max(data)
                here = text.xy[0]
                assert all(not box.x0 <= layer < here for _, layer in heads if layer < here)
