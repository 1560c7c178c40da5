"""Figures, found by the catalogue: functions of tables, a module of one subject each, with its entries in `FIGURES`."""
