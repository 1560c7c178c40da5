"""Draws and renders: figures, tables and the page that people read. No metric is computed here."""
