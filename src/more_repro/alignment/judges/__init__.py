"""Judges, one file each: what scores a response, and how far apart two scores must be to name a winner."""
