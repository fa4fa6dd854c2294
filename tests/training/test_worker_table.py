from hierbert_tf.training.cluster import Cluster
from hierbert_tf.training.worker_table import WorkerTable

CLUSTER = Cluster(("a:1", "b:1", "c:1"), 0)


def table(silence: float = 10, stall: float = 100) -> WorkerTable:
    return WorkerTable(CLUSTER, (0, 1, 2), 0.0, silence, stall)


def test_the_silent_worker_is_named():
    watched = table()
    for now in range(1, 12):
        for index in (0, 2):
            watched.report(index, now, 0, f"step {now}", now)
    assert watched.trouble(9.9) is None
    assert watched.trouble(11) == (
        "worker 1 (b:1) has not reported for 11 s (last seen at: starting)"
    )


def test_the_worker_that_holds_up_the_others_is_named_and_not_those_who_wait():
    watched = table()
    for now in range(0, 120, 5):
        watched.report(0, 8, 0, "step 4", now)
        watched.report(1, 7, 0, "reading the batch of step 4", now)
        watched.report(2, 8, 0, "step 4", now)
        trouble = watched.trouble(now)
        assert (trouble is None) == (now <= 100), now
    assert trouble == (
        "worker 1 (b:1) made no progress for 115 s (at: reading the batch of step 4), which holds "
        "up the others"
    )


def test_progress_within_a_position_counts():
    watched = table()
    for now in range(0, 1000, 5):
        watched.report(0, 0, now, "preparing", now)  # the chief prepares for long
        watched.report(1, 0, 0, "waiting", now)
        watched.report(2, 0, 0, "waiting", now)
        assert watched.trouble(now) is None


def test_when_all_are_at_the_same_place_all_are_named():
    watched = table()
    for now in (0, 101):
        for index in range(3):
            watched.report(index, 8, 0, "step 4", now)
    assert watched.trouble(102) == (
        "worker 0 (a:1) and worker 1 (b:1) and worker 2 (c:1) made no progress for 102 s "
        "(at: step 4)"
    )
