"""Audit, deduplication and split of a source's pairs, and the tables that later stages read."""
