"""Rows of local files and of the hub, with the file, line and field of whatever is wrong."""
