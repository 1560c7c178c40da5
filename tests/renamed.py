"""A study whose schemes have other names: nothing but the names may differ."""

import pandas as pd

from more_repro.params import Params

NAMES = {"more": "momentum_mgda", "multitask": "vanilla", "single": "per_source"}
_COLUMNS = ("scheme", "against", "policy", "opponent", "model")


def renamed_params(params: Params) -> Params:
    """The same study under other names of its schemes, read as from a file."""

    def named(value: object) -> object:
        if isinstance(value, dict):
            return {key: named(one) for key, one in value.items()}
        if isinstance(value, (tuple, list)):
            return tuple(named(one) for one in value)
        return NAMES.get(value, value) if isinstance(value, str) else value

    raw = params.model_dump()
    raw["schemes"] = {NAMES.get(name, name): one for name, one in raw["schemes"].items()}
    for section in ("align", "rm"):
        raw[section] = named(raw[section])
    return Params.model_validate(raw)


def renamed(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of this run under other names; the paper's printed rows keep theirs."""
    printed = pd.Series("table" in table.columns, index=table.index)
    for column in {"data", "evidence"} & set(table.columns):
        printed |= table[column].str.startswith("published")
    out = table.copy()
    for column in set(_COLUMNS) & set(table.columns):
        new = table[column].str.split("/").map(lambda parts: "/".join(_one(part) for part in parts))
        out[column] = table[column].where(printed, new).astype("str")
    return out


def _one(text: str) -> str:
    name, colon, source = text.partition(": ")
    return f"{NAMES.get(name, name)}{colon}{source}"
