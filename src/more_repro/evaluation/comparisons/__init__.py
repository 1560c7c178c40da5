"""Schemes beside each other: over seeds, and on the same pairs."""
