"""Which devices a run trains on: the strategies of `tf.distribute`, and what each can do."""

import os
from dataclasses import dataclass, field

import tensorflow as tf
from tensorflow.python.distribute import collective_all_reduce_strategy
from tensorflow.python.eager import context

from hierbert_tf.config import DataConfig, RunConfig, TrainingConfig
from hierbert_tf.errors import InputError
from hierbert_tf.training.cluster import TF_CONFIG, Cluster
from hierbert_tf.training.connected_workers import Patience

STRATEGIES = ("one_device", "mirrored", "multi_worker", "tpu")


@dataclass(frozen=True)
class StrategyChoice:
    """What the command line says about devices.

    Args:
        name: one of `STRATEGIES`.
        devices: for `mirrored`: so many logical CPU devices, to try out; 0: all GPUs.
        cluster: for `multi_worker`: the workers.
        tpu: for `tpu`: name or address; empty: the one of this machine.
        patience: for `multi_worker`: how long workers wait for each other.
    """

    name: str = "one_device"
    devices: int = 0
    cluster: Cluster | None = None
    tpu: str = ""
    patience: Patience = field(default_factory=Patience)

    @property
    def workers(self) -> int:
        """Number of workers."""
        return self.cluster.size if self.cluster is not None else 1


def check_strategy(choice: StrategyChoice, config: RunConfig) -> None:
    """Refuses what does not work, before anything is started. The table is in docs/distribute.md.

    Args:
        choice: the devices.
        config: the run's settings.

    Raises:
        InputError: says what does not work together and why.

    Example:

    >>> check_strategy(StrategyChoice("mirrored", devices=2), RunConfig())
    """
    name, training = choice.name, config.training
    if name not in STRATEGIES:
        raise InputError(f"--strategy is {name!r}, but must be one of {', '.join(STRATEGIES)}.")
    if choice.devices < 0 or (choice.devices and name != "mirrored"):
        raise InputError(
            f"--devices {choice.devices} with --strategy {name}: only mirrored takes a number of "
            "logical CPU devices, 1 or more."
        )
    if choice.tpu and name != "tpu":
        raise InputError(f"--tpu needs --strategy tpu, not {name}.")
    if (name == "multi_worker") != (choice.cluster is not None):
        raise InputError(
            "--workers and --strategy multi_worker belong together; give both or neither."
        )
    if name == "tpu":
        _check_tpu(training, config.data)
    # As far as it is known: each worker may have several GPUs.
    if (replicas := max(choice.devices, choice.workers)) > 1:
        check_replicas(config, replicas)


def check_replicas(config: RunConfig, replicas: int) -> None:
    """Refuses what does not work on this number of replicas.

    Args:
        config: the run's settings.
        replicas: devices that compute the step together, over all workers.

    Raises:
        InputError: XLA with several replicas, or a batch that they cannot share.

    Example:

    >>> check_replicas(RunConfig(), 3)
    Traceback (most recent call last):
    hierbert_tf.errors.InputError: data.batch_size 16 does not divide into 3 replicas x 1 ...
    """
    size, parts = config.data.batch_size, config.training.accumulation
    _check_xla(config.training, replicas)
    if size % (replicas * parts):
        raise InputError(
            f"data.batch_size {size} does not divide into {replicas} replicas x {parts} "
            "micro-batches (training.accumulation); change one of them."
        )


def make_strategy(choice: StrategyChoice) -> tf.distribute.Strategy:
    """Makes the strategy; before TensorFlow runs any operation, and after the workers have met.

    Args:
        choice: the devices, checked.

    Raises:
        InputError: there are no such devices.
    """
    if choice.name == "tpu":
        return _tpu(choice.tpu)
    if choice.cluster is not None and choice.cluster.size > 1:
        return _multi_worker(choice.cluster)
    if choice.name == "mirrored" and choice.devices:
        return _logical_devices(choice.devices)
    if choice.name == "one_device":
        return tf.distribute.get_strategy()
    gpus = tf.config.list_logical_devices("GPU")
    if choice.name == "mirrored" and not gpus:
        raise InputError(
            "--strategy mirrored finds no GPU; train with --strategy one_device, or give "
            "--devices N to try it on N logical CPU devices."
        )
    return tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy()


def abort_collectives(reason: str) -> None:
    """Makes the collective operations that wait for a lost worker fail, now and from now on.

    Args:
        reason: becomes the error's text.
    """
    context.context().abort_collective_ops(tf.errors.UNAVAILABLE, reason)


def _multi_worker(cluster: Cluster) -> tf.distribute.Strategy:
    """One replica a GPU of each worker, or one a worker on CPUs."""
    os.environ[TF_CONFIG] = cluster.to_tf_config()
    # TensorFlow's coordination service swallows SIGTERM, and takes a worker that is silent for ten
    # seconds for dead; its health check takes minutes. `ConnectedWorkers` does the work of both.
    context.context().configure_coordination_service(service_type="")
    collective_all_reduce_strategy.CollectiveAllReduceExtended._enable_check_health = False
    return tf.distribute.MultiWorkerMirroredStrategy()


def _logical_devices(number: int) -> tf.distribute.Strategy:
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * number
        )
        tf.config.set_visible_devices([], "GPU")
    except RuntimeError as error:
        # The number is fixed once TensorFlow is in use; this only happens inside a program.
        if len(tf.config.list_logical_devices("CPU")) < number:
            raise InputError(
                f"--devices {number}: TensorFlow is in use in this process already, so that its "
                "devices cannot be divided any more; start the program anew."
            ) from error
    return tf.distribute.MirroredStrategy([f"CPU:{index}" for index in range(number)])


def _tpu(name: str) -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    # Without a TPU each step of this fails in its own way, from ValueError to a missing module.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"no TPU {name or 'of this machine'} can be used ({reason}); see --tpu, or choose "
            "another --strategy."
        ) from error


def _check_xla(training: TrainingConfig, replicas: int) -> None:
    if training.xla and replicas > 1:
        raise InputError(
            f"training.xla is on with {replicas} replicas, but TensorFlow compiles the step for "
            "one device only; set training.xla to false or use --strategy one_device."
        )


def _check_tpu(training: TrainingConfig, data: DataConfig) -> None:
    if training.xla:
        raise InputError("a TPU compiles everything by itself; set training.xla to false.")
    if training.precision == "mixed_float16":
        raise InputError(
            "a TPU computes in bfloat16, not in float16; set training.precision to mixed_bfloat16."
        )
    if data.length_multiple:
        raise InputError(
            "a TPU compiles the step anew for each length of a batch; set data.length_multiple to "
            "0, so that all have data.sequence_length."
        )
