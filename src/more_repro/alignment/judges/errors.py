"""What stops a judging run: bad settings, an endpoint that refuses, a spent budget, too many unreadable replies."""


class JudgeError(ValueError):
    """The judge cannot be asked, or must not be asked on; the message says why and what to do. It holds no key."""


class BudgetError(JudgeError):
    """A call would be one too many, or cost too much."""
