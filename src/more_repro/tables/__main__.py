"""Prints the data dictionary: `python -m more_repro.tables > docs/data-dictionary.md`."""

import sys

from more_repro.tables.dictionary import markdown

if __name__ == "__main__":
    sys.stdout.write(markdown())
