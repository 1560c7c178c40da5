"""What every test shares: the project's root, its parameters, and no network."""

import os
import signal
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DVC_NO_ANALYTICS", "1")
os.environ.setdefault("MPLBACKEND", "agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: threads of each would wait for one another
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# An example may wait for the other tests of a busy machine: how long it takes is measured in bench/, never here.
hypothesis.settings.register_profile("any-machine", deadline=None)
hypothesis.settings.load_profile("any-machine")

# A shell that starts the tests in the background makes them ignore Ctrl-C, and the processes they start inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
