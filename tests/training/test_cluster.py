import json

import pytest

from hierbert_tf.errors import InputError
from hierbert_tf.training.cluster import Cluster


def test_arguments_and_tf_config_say_the_same():
    cluster = Cluster.from_arguments("10.0.0.1:2222,node-2:80", 1, {})
    again = Cluster.from_arguments("", None, {"TF_CONFIG": cluster.to_tf_config()})
    assert again == cluster and again.size == 2 and not again.is_chief
    assert again.name(1) == "worker 1 (node-2:80)" and again.host_port(1) == ("node-2", 80)
    assert json.loads(cluster.to_tf_config())["task"] == {"type": "worker", "index": 1}


def test_a_chief_in_tf_config_is_worker_0():
    jobs = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}

    def cluster(kind: str, index: int) -> Cluster:
        task = {"type": kind, "index": index}
        return Cluster.from_tf_config(json.dumps({"cluster": jobs, "task": task}))

    assert cluster("chief", 0).index == 0
    assert (
        cluster("worker", 1).addresses == ("a:1", "b:1", "c:1") and cluster("worker", 1).index == 2
    )
    with pytest.raises(InputError, match="task.index 1 is none of the 1 of chief"):
        cluster("chief", 1)


@pytest.mark.parametrize(
    ("workers", "index", "message"),
    [
        ("a", 0, "'a' is not host:port"),
        ("a:70000", 0, "'a:70000' is not host:port"),
        ("a:1,a:1", 0, "'a:1' occurs twice"),
        ("a:1,b:1", 2, "no worker 2 among 2; --worker-index counts from 0 to 1"),
        ("a:1,b:1", None, "needs --worker-index"),
        ("", 1, "--worker-index needs --workers"),
        ("", None, "needs --workers host:port,... and --worker-index, or the variable TF_CONFIG"),
    ],
)
def test_wrong_arguments(workers, index, message):
    with pytest.raises(InputError, match=message):
        Cluster.from_arguments(workers, index, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not as TensorFlow describes it"),
        ('{"cluster": {"worker": ["a:1"]}}', "task"),
        ('{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}', "list of texts"),
        ('{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "ps", "index": 0}}',
         "only workers and one chief"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
         "cluster.chief is missing"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
         "task.index 1 is none of the 1 of worker"),
    ],
)  # fmt: skip
def test_wrong_tf_config(text, message):
    with pytest.raises(InputError, match=message):
        Cluster.from_tf_config(text)
