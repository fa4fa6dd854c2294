"""The pre-training tasks, one file each: corruption, labels, head, loss and metrics."""
