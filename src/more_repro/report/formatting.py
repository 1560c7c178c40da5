"""Numbers as people read them: tables of texts, `value [low, high]`."""

from collections.abc import Mapping

import pandas as pd

from more_repro.report.style import SCHEMES

BLANK = "–"


def number(value: object, digits: int = 3) -> str:
    """A number with so many decimals; counts without; a dash where it is not defined."""
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return BLANK
    if isinstance(value, (int,)) or (hasattr(value, "dtype") and "int" in str(value.dtype)):
        return f"{int(value):,}"  # type: ignore[call-overload]
    if isinstance(value, float) or hasattr(value, "dtype"):
        return f"{float(value):,.{digits}f}"  # type: ignore[arg-type]
    return str(value)


def interval(estimate: object, low: object, high: object, digits: int = 3) -> str:
    """`0.671 [0.660, 0.682]`, or the value alone where it has no interval."""
    text = number(estimate, digits)
    ends = (number(low, digits), number(high, digits))
    return text if text == BLANK or BLANK in ends else f"{text} [{ends[0]}, {ends[1]}]"


def _whole(values: pd.Series) -> bool:
    """Counts stay counts where a missing row has made them floats."""
    return bool(pd.api.types.is_float_dtype(values)) and str(values.name).startswith("n_")


def texts(table: pd.DataFrame, digits: Mapping[str, int] | None = None, default: int = 3) -> pd.DataFrame:
    """A table for reading: columns <name>, <name>_low, <name>_high become one; known schemes get their long names."""
    places = digits or {}
    out: dict[str, list[str]] = {}
    for name in table.columns:
        if any(name == f"{other}{end}" for other in table.columns for end in ("_low", "_high")):
            continue
        d = places.get(name, default)
        if f"{name}_low" in table.columns:
            columns = (table[name], table[f"{name}_low"], table[f"{name}_high"])
            out[name] = [interval(*row, digits=d) for row in zip(*columns, strict=True)]
        elif name == "scheme":
            out[name] = [SCHEMES[s][2] if s in SCHEMES else s for s in table[name]]
        else:
            d = 0 if _whole(table[name]) else d
            out[name] = [BLANK if isinstance(v, str) and v == "none" else number(v, d) for v in table[name]]
    return pd.DataFrame(out, columns=list(out), dtype="str")
