"""What a person sees of a run: progress bar, TensorBoard, CSV, plots, diagram."""
