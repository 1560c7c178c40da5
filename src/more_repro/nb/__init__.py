"""Runs the notebooks of the pipeline, and the small commands around it: `python -m more_repro.nb --help`."""
