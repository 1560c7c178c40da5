"""What a table of the study is made of: columns of a kind, each described once."""

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["str", "int", "float", "float?", "bool"]  # float? may be NaN: not defined for that row


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its kind, and what its values mean, with unit, range, and for `float?` when they are NaN.

    detail: what one table adds to a meaning that several share. overrides: this table means something else by the name
    than `shared` does. Texts are given by the keyword `description`, which the digest of code leaves out.
    """

    kind: Kind
    description: str
    detail: str = ""
    overrides: bool = False

    def noting(self, description: str, kind: Kind | None = None) -> "Column":
        """The same column, with what a table adds to its meaning, and its kind where that differs."""
        return replace(self, detail=description, kind=kind or self.kind)

    @property
    def text(self) -> str:
        return f"{self.description} {self.detail}".strip()


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the stage that makes it, where it lies below data/<profile>, what a row is, and its columns in order.

    stage: a stage of dvc.yaml. paths: with <names> for what varies; none where a notebook shows the table and keeps it
    in no file.
    """

    stage: str
    paths: tuple[str, ...]
    description: str
    columns: dict[str, Column]


def with_limits(name: str, column: Column, description: str, overrides: bool = False) -> dict[str, Column]:
    """A column and `<name>_low`, `<name>_high`, the limits of its interval.

    description: how the interval is made. overrides: of the limits, see `Column`.
    """
    undefined = "; NaN where there is none" if column.kind == "float?" else ""
    limits = {
        f"{name}_{side}": Column(
            column.kind,
            description=f"{word} limit of the interval of `{name}`{undefined}.",
            overrides=overrides,
        )
        for side, word in (("low", "Lower"), ("high", "Upper"))
    }
    return {name: column} | {limit: made.noting(description=description) for limit, made in limits.items()}
