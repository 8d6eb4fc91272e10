"""The numba source of one SGD step, written from the loss."""
