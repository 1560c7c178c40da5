"""Errors that are the caller's to mend: one line on the terminal instead of a traceback."""


def expected_errors() -> tuple[type[Exception], ...]:
    """ValueError covers ParamsError, ParameterError and unreadable notebooks."""
    from more_repro.nb.project.stage_lock import StageBusy

    return (ValueError, StageBusy)
