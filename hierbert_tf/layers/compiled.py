"""When element-wise work is compiled into single passes over memory."""

import keras


def is_available() -> bool:
    """Says whether the layers may use their XLA-compiled element-wise functions.

    On a CPU a chain of element-wise TensorFlow ops (GELU with its gradient: a dozen) reads and
    writes the whole activation for each of them; compiled, it is one pass forward and one back.
    The matrix products stay with TensorFlow, whose are faster than XLA's on a CPU.

    Only training uses this, so that exported graphs hold plain ops. With more than one replica
    TensorFlow cannot compile for CPUs, and on other devices nothing has been measured: both get
    plain ops, with the same equations.

    Returns:
        True on the TensorFlow backend with CPUs only, in the context of a single replica.

    Example:

    >>> import tensorflow as tf
    >>> is_available() == (not tf.config.list_physical_devices("GPU"))
    True
    """
    if keras.config.backend() != "tensorflow":
        return False
    import tensorflow as tf

    if any(device.device_type != "CPU" for device in tf.config.list_physical_devices()):
        return False
    context = tf.distribute.get_replica_context()
    # None where a functional model is built under a strategy's scope.
    return context is not None and context.num_replicas_in_sync == 1
