"""Alignment quality on calibration: design, estimates, and the checks that they stand on."""
