"""Numbers as people read them: tables of texts, `value [low, high]`."""

import re
from collections.abc import Mapping

import pandas as pd

from more_repro.report.style import scheme_name
from more_repro.schemes import NONE

BLANK = "–"
_NAMES = ("metric", "outcome", "term")  # columns that hold names of columns


def number(value: object, digits: int = 3) -> str:
    """A number with so many decimals, fewer from 10 on; counts without; a dash where it is not defined."""
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return BLANK
    if isinstance(value, (int,)) or (hasattr(value, "dtype") and "int" in str(value.dtype)):
        return f"{int(value):,}"  # type: ignore[call-overload]
    if isinstance(value, float) or hasattr(value, "dtype"):
        size = abs(float(value))  # type: ignore[arg-type]
        text = f"{float(value):,.{0 if size >= 100 else min(digits, 2) if size >= 10 else digits}f}"  # type: ignore[arg-type]
        return text.removeprefix("-") if not text.strip("-0.,") else text
    return str(value)


def interval(estimate: object, low: object, high: object, digits: int = 3) -> str:
    """`0.671 [0.660, 0.682]`, or the value alone where it has no interval."""
    text = number(estimate, digits)
    ends = (number(low, digits), number(high, digits))
    alone = BLANK in (text, *ends) or ends == (text, text)
    return text if alone else f"{text} [{ends[0]}, {ends[1]}]"


def _whole(values: pd.Series) -> bool:
    """Counts stay counts where a missing row has made them floats."""
    return bool(pd.api.types.is_float_dtype(values)) and str(values.name).startswith("n_")


def texts(table: pd.DataFrame, digits: Mapping[str, int] | None = None, default: int = 3) -> pd.DataFrame:
    """A table for reading: columns <name>, <name>_low, <name>_high become one; names of columns and schemes, words."""
    places = digits or {}
    out: dict[str, list[str]] = {}
    for name in table.columns:
        if any(name == f"{other}{end}" for other in table.columns for end in ("_low", "_high")):
            continue
        d = places.get(name, default)
        if name in ("low", "high") and "estimate" in table.columns:
            continue
        ends = ("low", "high") if name == "estimate" else (f"{name}_low", f"{name}_high")
        if set(ends) <= set(table.columns):
            columns = (table[name], table[ends[0]], table[ends[1]])
            out[name] = [interval(*row, digits=d) for row in zip(*columns, strict=True)]
        elif name == "scheme":
            out[name] = [scheme_name(s) for s in table[name]]
        elif name in _NAMES:
            out[name] = [re.sub(r"\bece\b", "ECE", str(v).replace("_", " ")) for v in table[name]]
        else:
            d = 0 if _whole(table[name]) else d
            out[name] = [BLANK if isinstance(v, str) and v == NONE else number(v, d) for v in table[name]]
    return pd.DataFrame(out, columns=list(out), dtype="str")
