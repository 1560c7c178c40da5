"""Figures: functions of tables."""
