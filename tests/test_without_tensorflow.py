"""What can be imported where TensorFlow is missing, and what is said of the rest."""

import subprocess
import sys
import textwrap


def test_the_package_says_what_needs_tensorflow():
    program = """
        import sys
        sys.modules["tensorflow"] = None  # cannot be imported from here on
        import hierbert_tf
        import hierbert_tf.config
        assert hierbert_tf.config.EncoderConfig().layers == 4
        assert hierbert_tf.__version__
        try:
            from hierbert_tf import prepare
        except ImportError as error:
            print(error)
        print(hasattr(hierbert_tf, "no_such_name"))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    said, absent = done.stdout.splitlines()
    assert said.startswith("hierbert_tf.prepare needs TensorFlow, which is not installed here;")
    assert absent == "False"


def test_with_tensorflow_every_public_name_is_there():
    import hierbert_tf

    assert all(hasattr(hierbert_tf, name) for name in hierbert_tf.__all__)
