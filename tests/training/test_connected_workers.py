import contextlib
import dataclasses
import socket
import time
import types

import pytest

from hierbert_tf.errors import RunStopped
from hierbert_tf.training.cluster import Cluster
from hierbert_tf.training.connected_workers import ConnectedWorkers, Patience
from hierbert_tf.training.line_socket import LineSocket

GONE = "worker 1 (b:1) is gone: its connection ended (last seen at: step 12)"
ADDRESSES = ("a:1", "b:1", "c:1")
# The machine may do much else: nobody is silent here by chance.
QUICK = Patience(silence=60, stall=60, ending=0.5, report=0.05)


@contextlib.contextmanager
def three_workers(patience: Patience = QUICK):
    """Worker 0, 1 and 2 of a run, all in this process."""
    pairs = {i: socket.socketpair() for i in (1, 2)}
    ends = {i: LineSocket(pairs[i][1]) for i in pairs}
    connections = [{i: LineSocket(pairs[i][0]) for i in pairs}, {0: ends[1]}, {0: ends[2]}]
    workers = []
    for index in range(3):
        codes: list[int] = []
        worker = ConnectedWorkers(
            Cluster(ADDRESSES, index),
            connections[index],
            types.SimpleNamespace(),
            patience,
            end_process=codes.append,
        )
        worker.codes, worker.aborted = codes, []
        worker.abort_collectives = worker.aborted.append
        workers.append(worker)
    yield workers
    for worker in workers:
        worker.close()


def until(true) -> None:
    deadline = time.monotonic() + 100
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def stopped(worker) -> str:
    """The sentence with which a worker stops."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        try:
            worker.tick()
        except RunStopped as error:
            return str(error)
        time.sleep(0.02)
    raise AssertionError("did not stop")


def test_the_chief_s_values_reach_all_in_order():
    with three_workers() as (chief, one, two):
        for name, value in (("start", {"step": 3}), ("weights", "abc")):
            assert chief.from_chief(name, value) == value
        for worker in (two, one):
            assert worker.from_chief("start", "not looked at") == {"step": 3}
            assert worker.from_chief("weights") == "abc"
        chief.from_chief("one", 1)
        with pytest.raises(RuntimeError, match="'one' where 'other' is due"):
            one.from_chief("other")


def test_a_worker_whose_connection_ends_is_named_to_all(capsys):
    with three_workers() as (chief, one, two):
        one.at(25, "step 12")
        until(lambda: chief._table.doing(1) == "step 12")
        one._leaving = True  # it is killed: it says nothing
        one._connections[0].close()
        for worker in (chief, two):
            sentence = stopped(worker)
            assert GONE in sentence and sentence.endswith("it goes on from the last checkpoint.")
            until(lambda worker=worker: worker.aborted)
            assert worker.aborted == [GONE]
        with pytest.raises(RunStopped, match="worker 1"):
            two.from_chief("anything")
        error = ValueError("of a collective")
        assert isinstance(two.failure(error), RunStopped)
        # Its main thread does not end it: it is ended.
        until(lambda: chief.codes)
        assert chief.codes == [1] and one.codes == []


def test_a_lost_chief_is_named_by_each():
    with three_workers() as (chief, one, two):
        chief._leaving = True
        for connection in chief._connections.values():
            connection.close()
        for worker in (one, two):
            assert "worker 0 (a:1) is gone" in stopped(worker)


def test_a_silent_worker_is_named():
    with three_workers(dataclasses.replace(QUICK, silence=4)) as (chief, one, two):
        two._leaving = True  # its thread that reports ends
        assert "worker 2 (c:1) has not reported for" in stopped(chief)
        assert "worker 2 (c:1) has not reported for" in stopped(one)


def test_a_worker_that_holds_up_the_others_is_named():
    with three_workers(dataclasses.replace(QUICK, stall=2)) as (chief, one, two):
        for worker, position in ((chief, 8), (one, 7), (two, 8)):
            worker.at(position, f"at {position}")
        assert "worker 1 (b:1) made no progress for" in stopped(two)
        assert "(at: at 7), which holds up the others" in stopped(chief)


def test_a_worker_that_leaves_says_why():
    with three_workers() as (chief, one, two):
        one.leave("the disk is full")
        for worker in (chief, two):
            assert "worker 1 (b:1) stopped: the disk is full; start the same" in stopped(worker)
        time.sleep(0.2)
        assert one.codes == []


def test_a_chief_that_leaves_says_why():
    with three_workers() as (chief, one, two):
        chief.leave("it received SIGTERM")
        for worker in (one, two):
            assert "worker 0 (a:1) stopped: it received SIGTERM" in stopped(worker)


def test_the_end_of_a_whole_run_is_no_loss():
    with three_workers() as (chief, one, two):
        chief.end()
        chief.close()
        for worker in (one, two):
            worker.end()
            worker.close()
        time.sleep(0.8)  # longer than `ending`
        for worker in (chief, one, two):
            worker.tick()
            assert worker.codes == [] and worker.aborted == []


def test_a_run_that_lost_a_worker_does_not_end_well():
    with three_workers() as (chief, one, _):
        one.leave("the disk is full")
        until(lambda: chief._failed.is_set())
        with pytest.raises(RunStopped, match="the disk is full"):
            chief.end()


def test_an_error_that_no_worker_caused_stays_as_it_is():
    with three_workers() as (chief, _, _):
        error = ValueError("of its own")
        assert chief.failure(error) is error
