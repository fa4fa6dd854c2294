import pytest
import tensorflow as tf


@pytest.fixture
def eagerly():
    """Runs `tf.function`s as plain Python: nothing to trace, so a test takes no seconds."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
