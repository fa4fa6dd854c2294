import socket
import threading
import time

from hierbert_tf.errors import InputError, RunStopped
from hierbert_tf.training.cluster import Cluster
from hierbert_tf.training.line_socket import LineSocket
from hierbert_tf.training.rendezvous import meet
from tests.training.loopback import free_addresses


def together(*calls):
    """Runs calls in threads; returns each one's result or error."""
    results = [None] * len(calls)

    def work(index):
        try:
            results[index] = calls[index]()
        except (InputError, RunStopped) as error:
            results[index] = error

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def call(addresses, index, settings=None, seconds=30.0, after=0.0):
    def work():
        time.sleep(after)
        return meet(Cluster(addresses, index), settings or {"seed": 1}, seconds)

    return work


def test_all_meet_whoever_comes_first_and_their_ports_are_free_afterwards():
    addresses = free_addresses(3)
    chief, one, two = together(
        call(addresses, 0, after=0.5), call(addresses, 1), call(addresses, 2, after=0.8)
    )
    assert sorted(chief) == [1, 2] and list(one) == [0] and list(two) == [0]
    # While the connections live TensorFlow's server must get the very port.
    for index in range(3):
        port = Cluster(addresses, index).host_port(index)[1]
        socket.create_server(("127.0.0.1", port)).close()
    chief[2].send("to two")
    assert two[0].receive(5) == "to two"
    for connections in (chief, one, two):
        for connection in connections.values():
            connection.close()


def test_a_worker_that_never_comes_up_is_named_to_all():
    addresses = free_addresses(3)
    started = time.monotonic()
    chief, one = together(call(addresses, 0, seconds=1.5), call(addresses, 1, seconds=30))
    sentence = f"worker 2 ({addresses[2]}) did not come up within 2 s"
    assert sentence in str(chief) and isinstance(chief, RunStopped)
    assert f"worker 0 ({addresses[0]}) stopped: {sentence}" in str(one)
    assert time.monotonic() - started < 20


def test_a_chief_that_never_comes_up():
    addresses = free_addresses(2)
    (one,) = together(call(addresses, 1, seconds=1.0))
    assert f"worker 0 ({addresses[0]}) did not come up within 1 s" in str(one)


def test_other_settings_are_named():
    addresses = free_addresses(2)
    chief, one = together(
        call(addresses, 0, {"seed": 1, "training.steps": 5, "list": (1, 2)}),
        call(addresses, 1, {"seed": 1, "training.steps": 6, "list": (1, 2)}),
    )
    for error in (chief, one):
        assert "other settings" in str(error) and "training.steps is 6, not 5;" in str(error)
    assert isinstance(chief, InputError) and isinstance(one, RunStopped)


def test_two_processes_of_one_index():
    addresses = free_addresses(3)
    chief, one, again = together(
        call(addresses, 0), call(addresses, 1), call(addresses, 1, after=0.7)
    )
    assert "two processes are worker 1" in str(chief)
    assert "two processes are worker 1" in str(one) + str(again)


def test_strangers_on_the_port_are_ignored():
    addresses = free_addresses(2)
    host, port = Cluster(addresses, 0).host_port(0)

    def stranger():
        for text in (b"GET / HTTP/1.1\r\n\r\n", b'{"worker": 7}\n', b"5\n", b""):
            time.sleep(0.3)
            with socket.create_connection((host, port)) as connection:
                connection.sendall(text)

    chief, one, _ = together(call(addresses, 0), call(addresses, 1, after=1.8), stranger)
    assert isinstance(chief[1], LineSocket) and isinstance(one[0], LineSocket)


def test_a_worker_that_died_while_waiting_may_come_again():
    addresses = free_addresses(3)
    host, port = Cluster(addresses, 0).host_port(0)

    def dies():
        time.sleep(0.3)
        connection = LineSocket(socket.create_connection((host, port)))
        connection.send({"worker": 1, "addresses": list(addresses), "settings": {"seed": 1}})
        connection.close()

    chief, one, two, _ = together(
        call(addresses, 0), call(addresses, 1, after=1.0), call(addresses, 2, after=1.5), dies
    )
    assert sorted(chief) == [1, 2] and list(one) == [0] and list(two) == [0]


def test_a_port_in_use(monkeypatch):
    monkeypatch.setattr("hierbert_tf.training.rendezvous._FORMER_OWNER_SECONDS", 0.5)
    addresses = free_addresses(2)
    with socket.create_server(("", Cluster(addresses, 1).host_port(1)[1])):
        (one,) = together(call(addresses, 1, seconds=5))
    assert isinstance(one, InputError) and "cannot be used on this machine" in str(one)
