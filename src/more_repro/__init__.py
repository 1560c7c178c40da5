"""Reward models under diversified human preferences: a reproduction that anyone can run and check."""

__version__ = "0.1.0"
