import numpy as np
import pytest
from matplotlib.figure import Figure

from hierbert_tf.config import EncoderConfig, ReceivesConfig, RunConfig, TaskConfig
from hierbert_tf.errors import InputError
from hierbert_tf.training.monitor.architecture import architecture_figure, spread
from hierbert_tf.training.monitor.figure_image import figure_image, write_figure
from hierbert_tf.training.monitor.plots import cosine_plot, optimizer_plot, task_plot

TRAIN = {
    step: {"a/loss": 5.0 / step, "a/accuracy": 0.1 * step, "learning_rate": 1e-3 / step,
           "gradient_norm": 1.0}
    for step in (1, 2, 3)
}  # fmt: skip


def test_task_plot_draws_train_held_out_and_chance():
    held_out = {0: {"a/loss": 6.0, "a/accuracy": 0.0}, 3: {"a/loss": 2.0, "a/accuracy": 0.3}}
    loss, accuracy = task_plot("a", TRAIN, held_out, {"loss": 5.5, "accuracy": 0.05}).axes
    train, held, chance = loss.lines
    np.testing.assert_array_equal(train.get_xydata(), [[1, 5], [2, 2.5], [3, 5 / 3]])
    np.testing.assert_array_equal(held.get_xydata(), [[0, 6], [3, 2]])
    assert set(chance.get_ydata()) == {5.5}
    assert set(accuracy.lines[2].get_ydata()) == {0.05}
    assert len(task_plot("a", TRAIN, {}).axes[0].lines) == 2


def test_optimizer_plot():
    rate, norm = optimizer_plot(TRAIN).axes
    np.testing.assert_allclose(rate.lines[0].get_ydata(), [1e-3, 5e-4, 1e-3 / 3])
    np.testing.assert_allclose(norm.lines[0].get_ydata(), [1, 1, 1])


def test_cosine_plot_has_a_panel_a_pair_and_the_layers_upward():
    history = {
        step: {"a~b/embeddings": 0.1 * step, "a~b/encoder_block_1": np.nan, "a~c/embeddings": -1.0,
               "a~c/encoder_block_1": 0.5}
        for step in (1, 2)
    }  # fmt: skip
    first, second, *_ = cosine_plot(history).axes
    table = np.ma.filled(first.images[0].get_array(), np.nan)
    np.testing.assert_allclose(table, [[0.1, 0.2], [np.nan, np.nan]])
    np.testing.assert_allclose(second.images[0].get_array(), [[-1, -1], [0.5, 0.5]])
    assert first.images[0].origin == "lower"
    assert [text.get_text() for text in first.get_yticklabels()] == [
        "embeddings",
        "encoder block 1",
    ]


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_architecture_shows_blocks_tasks_and_transfer():
    config = RunConfig()
    shown = texts(architecture_figure(config.encoder, config.tasks))
    assert [text for text in shown if text.startswith("encoder block")] == [
        f"encoder block {layer}" for layer in (1, 2, 3, 4)
    ]
    assert {"masked LM", "next sentence", "bigram shift", "concat"} <= set(shown)
    assert shown.count("layer 2  ·  weight 1") == 2


def test_architecture_of_a_transfer_into_the_head():
    receives = ReceivesConfig(
        "next_sentence", by="label_embedding", into="head", stop_gradient=True
    )
    tasks = [TaskConfig("next_sentence", 2), TaskConfig("masked_lm", 2, receives=receives)]
    shown = texts(architecture_figure(EncoderConfig(layers=2), tasks))
    assert "label embedding\n(no gradient back)" in shown


def test_spread_keeps_order_and_distance():
    places = spread([1.0, 1.0, 1.2, 4.0], 1.0)
    assert np.all(np.diff(places) >= 1.0 - 1e-9)
    np.testing.assert_allclose(places, [1.2 / 3 + 2 / 3 - 1, 3.2 / 3, 3.2 / 3 + 1, 4.0])
    assert spread([0.0, 5.0], 1.0) == [0.0, 5.0]


def test_figures_become_pixels_and_files(tmp_path):
    figure = Figure(figsize=(2, 1), dpi=50, facecolor="red")
    pixels = figure_image(figure)
    assert pixels.shape == (50, 100, 4) and pixels[10, 10].tolist() == [255, 0, 0, 255]
    write_figure(figure, tmp_path / "plots" / "red.png")
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["red.png"]
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_figure(figure, tmp_path / "file" / "red.png")


def test_a_long_history_is_thinned_to_its_ends_and_between():
    history = {step: {"a~b/embeddings": step / 1000} for step in range(0, 1001, 2)}
    (row,) = cosine_plot(history).axes[0].images[0].get_array()
    assert len(row) == 40 and (row[0], row[-1]) == (0.0, 1.0)
    np.testing.assert_allclose(np.diff(row), 1 / 39, atol=0.003)
