"""Alignment by rejection sampling: samples, best-of-n, tuned policies, verdicts. Never a reward model's insides."""
