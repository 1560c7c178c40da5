"""Token pairs into the packed micro-batches of a training step, within a budget of memory."""
