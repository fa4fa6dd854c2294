"""The two ways in which a program ends early, each with one sentence for a person."""


class InputError(ValueError):
    """Something the user gave is wrong: a file, a setting, a combination.

    The message is one sentence: what is wrong, where (file, line, key), what to do.
    The recipes print it and exit with code 2.
    """


class RunStopped(RuntimeError):
    """A run stopped itself safely: a loss was not finite, the disk was full.

    What was saved before stays whole. The recipes print the message and exit with code 1.
    """
