"""How a server puts requests together."""

# A server started with `--enable_batching --enable_per_model_batching_parameters` reads this file
# from the version's folder; the name is TensorFlow Serving's.
BATCHING_FILE = "batching_params.pbtxt"

BATCHING_PARAMETERS = """\
# Measured on 2 cores: see "Batching" in docs/serving.md. Set num_batch_threads (in the file of
# --batching_parameters_file) to the number of cores.
max_batch_size { value: 32 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 64 }
# Of ids of unequal length the server would pad the padding mask with ones, its first value.
pad_variable_length_inputs: false
"""
