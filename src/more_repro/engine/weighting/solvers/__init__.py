"""What several weightings solve with: the Gram matrix of the head gradients, and its point of least norm."""
