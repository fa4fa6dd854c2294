import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hierbert_tf.probing.early_stopping import EarlyStopping


def one_at_a_time(scores, tenacity, epoch_size, max_epochs):
    """SentEval's rule for one classifier: passes made, best score, its pass."""
    epochs, failures, best, best_epoch, stop = 0, 0, -1.0, 0, False
    scores = iter(scores)
    while not stop and epochs <= max_epochs:
        epochs += epoch_size
        score = next(scores)
        if score > best:
            best, best_epoch = score, epochs
        else:
            if failures >= tenacity:
                stop = True
            failures += 1
    return epochs, best, best_epoch


@given(
    st.lists(st.lists(st.integers(0, 6), min_size=12, max_size=12), min_size=1, max_size=5),
    st.integers(0, 4),
    st.integers(1, 4),
    st.integers(1, 11),
)
def test_many_at_once_are_each_alone(scores, tenacity, epoch_size, max_epochs):
    scores = np.array(scores) / 6
    rule = EarlyStopping(len(scores), tenacity, epoch_size, max_epochs)
    ended = np.zeros(len(scores), int)
    look = 0
    while rule.running.any():
        before = rule.running
        improved = rule.look(scores[:, look])
        look += 1
        assert not np.any(improved & ~before)
        ended = np.where(before, rule.epochs, ended)
    for number, row in enumerate(scores):
        epochs, best, best_epoch = one_at_a_time(row, tenacity, epoch_size, max_epochs)
        assert (ended[number], rule.best[number], rule.best_epoch[number]) == (
            epochs,
            best,
            best_epoch,
        )


def test_a_new_best_does_not_reset_the_failures():
    rule = EarlyStopping(1, tenacity=2, epoch_size=4, max_epochs=200)
    for score in (0.5, 0.4, 0.6, 0.6, 0.7):
        rule.look(np.array([score]))
        assert rule.running[0]
    rule.look(np.array([0.7]))
    assert not rule.running[0]
    assert (rule.best[0], rule.best_epoch[0], rule.epochs) == (0.7, 20, 24)


def test_the_last_pass_may_lie_beyond_the_limit():
    rule = EarlyStopping(1, tenacity=5, epoch_size=4, max_epochs=8)
    looks = 0
    while rule.running[0]:
        looks += 1
        rule.look(np.array([looks / 10]))
    assert (looks, rule.epochs) == (3, 12)


def test_not_a_number_is_no_best():
    rule = EarlyStopping(1, tenacity=0, epoch_size=1, max_epochs=8)
    assert not rule.look(np.array([np.nan]))[0]
    assert not rule.running[0]
