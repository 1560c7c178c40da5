"""Judges, one file each with a class `Judge`; the file's name is `judge.kind` in params."""
