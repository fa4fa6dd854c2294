"""TensorFlow's error messages without the names of its graph's nodes."""

import re


def plain_message(error: Exception) -> str:
    """What went wrong, as a part of a sentence for a person.

    Example:

    >>> plain_message(ValueError("{{function_node SaveV2_0}} a.ckpt; File too large [Op:SaveV2]"))
    'a.ckpt; File too large'
    """
    return re.sub(r"\{\{.*?\}\} ?| ?\[Op:.*", "", str(error))
