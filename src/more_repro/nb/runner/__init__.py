"""Runs one notebook as one stage: parameters, kernel, log, page."""
