"""A SavedModel in a process that knows nothing of this package: `python fresh_process.py ...`.

Arguments: the SavedModel; a pickle with a list of (signature, inputs by name); where to put a
pickle with their outputs.
"""

import pickle
import sys

import tensorflow as tf
import tensorflow_text  # noqa: F401  registers the tokenizer's ops

if __name__ == "__main__":
    folder, requests, results = sys.argv[1:]
    signatures = tf.saved_model.load(folder).signatures
    found = []
    with open(requests, "rb") as file:
        for signature, inputs in pickle.load(file):
            tensors = {name: tf.constant(value) for name, value in inputs.items()}
            outputs = signatures[signature](**tensors)
            found.append({name: value.numpy() for name, value in outputs.items()})
    if any(name.split(".")[0] in ("hierbert_tf", "keras_hub") for name in sys.modules):
        sys.exit("this process should not have imported the package")
    with open(results, "wb") as file:
        pickle.dump(found, file)
