"""The features of a batch: their names, dtypes, shapes and meanings, spelled once.

Dimension letters of this package: B batch, T sequence, P masked positions, H hidden, V vocabulary,
L layers, A attention heads, C classes.
"""

from dataclasses import dataclass

import numpy as np

TOKEN_IDS = "token_ids"
SEGMENT_IDS = "segment_ids"
PADDING_MASK = "padding_mask"


@dataclass(frozen=True)
class Feature:
    """One named array of a batch.

    Args:
        name: the key in the batch.
        dtype: NumPy name of the dtype.
        shape: dimension letters, such as `("B", "T")`.
        meaning: one sentence.
    """

    name: str
    dtype: str
    shape: tuple[str, ...]
    meaning: str

    def check(self, array: np.ndarray) -> None:
        """Raises `TypeError` when `array` has another dtype or rank than declared."""
        if array.dtype.name != self.dtype or array.ndim != len(self.shape):
            raise TypeError(
                f"feature {self.name!r} must be {self.dtype} of shape [{', '.join(self.shape)}], "
                f"not {array.dtype.name} of shape {tuple(array.shape)}"
            )


ENCODER_FEATURES = (
    # int32 everywhere: bool inputs do not pass through MirroredStrategy.
    Feature(TOKEN_IDS, "int32", ("B", "T"), "WordPiece ids, [CLS] first, [PAD] as padding"),
    Feature(SEGMENT_IDS, "int32", ("B", "T"), "0 for [CLS] A [SEP] and padding, 1 for B [SEP]"),
    Feature(PADDING_MASK, "int32", ("B", "T"), "1 for a token, 0 for padding"),
)
