"""Numbers in, tables out: accuracy, calibration, margins, regressions and verdicts on the claims. Never a model."""
