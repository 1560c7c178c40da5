"""Judges: what a judge is, what judges of pairs share, and one file per judge in `kinds`."""
