"""Samples of the policy, and which of them a reward model picks."""
