"""Preference data: read, audited, split, mixed and described. Knows text, never tokens."""
