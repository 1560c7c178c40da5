"""The end of a process that trained among others."""

import atexit
import sys

from more_repro.engine.distributed import Processes


def leave_at_exit(group: Processes) -> None:
    """Leave the group when this process ends well.

    Threads of a group that is left open may end the process with SIGABRT, its work done, and the launcher then calls
    the training failed. After an error the group stays open: leaving may wait for processes that are stuck.
    """
    if group.size > 1:
        atexit.register(_leave, group)


def _leave(group: Processes) -> None:
    if getattr(sys, "last_value", None) is None:  # set where an error ends the process
        group.close()
