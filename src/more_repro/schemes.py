"""What schemes and pools are called, which part a scheme plays in the study, and what a reward model was trained on.

Names of trained schemes are the study's own (params): code asks for a role. Everything else that a column `scheme`,
`source` or `trained_on` may hold beside names of the params stands here, once.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

NONE = "none"  # base, regime or trained_on of what has none

# Values of `trained_on` beside the names of sources and first<K>.
MIXTURE = "mixture"  # every source
EACH = "each"  # one model for each source

# Values of `source` that name no data set. Of judged prompts ALL alone.
ALL = "all"  # every source pooled
ALIGN = "align"  # the align.sources pooled
MEAN = "mean"  # plain mean over sources: the paper's avg and ECE columns of Table 2
POOLS = (ALIGN, ALL)
POOLED = (ALL, ALIGN, MEAN)

# Schemes made when scoring: of an untrained head, of the single models, of the texts alone.
RAW, AVERAGING, LENGTH = "raw", "averaging", "length"
WEIGHTED, MINIMUM, CAUTIOUS = "ensemble_weighted", "ensemble_minimum", "ensemble_cautious"
ENSEMBLES = (WEIGHTED, MINIMUM, CAUTIOUS)
DERIVED = (RAW, AVERAGING, *ENSEMBLES, LENGTH)
TOP = "top"  # each single model on its own source
HELD_OUT = "held_out"  # the judge's reward model

# Policies that no reward model aligned; they stand in the column `scheme` too.
UNTUNED, SFT = "untuned", "sft"
RANDOM_CHOICE, WORST_CHOICE, ORACLE_CHOICE = "random_choice", "worst_choice", "oracle_choice"
REFERENCE_POLICIES = (UNTUNED, SFT, RANDOM_CHOICE, WORST_CHOICE, ORACLE_CHOICE)

# How one of n samples is chosen (column `choice`): by a reward model, by chance, by the judge's own score.
BEST, WORST, RANDOM, ORACLE = "best", "worst", "random", "oracle"

# Names that the params may not give.
RESERVED_SCHEMES = (*DERIVED, TOP, HELD_OUT, *REFERENCE_POLICIES)
RESERVED_SOURCES = (MIXTURE, EACH, NONE, *POOLED)

PAPER_ALPHA = 0.99
WITHOUT_GRADIENTS = ("uniform", "proportional", "random", "fixed")  # weightings that look at no gradient
_FIRST = re.compile(r"first([1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """What a reward model was trained on: every source, the first K, one, or nothing. `str` is the column's value.

    kind "each" stands for all single-source models together. source: for kind "source"; k: for kind "first".
    """

    kind: Literal["mixture", "first", "source", "each", "none"]
    source: str = ""
    k: int = 0

    @classmethod
    def parse(cls, text: str) -> "TrainedOn":
        """Read a value of the column: what is no other word is a source's name (params refuse sources so called)."""
        if text == MIXTURE:
            return cls("mixture")
        if text == EACH:
            return cls("each")
        if text == NONE:
            return cls("none")
        first = _FIRST.fullmatch(text)
        return cls("first", k=int(first[1])) if first else cls("source", source=text)

    def __str__(self) -> str:
        return {"first": f"first{self.k}", "source": self.source}.get(self.kind, self.kind)

    def sources(self, names: Sequence[str]) -> tuple[str, ...]:
        """The sources behind it, of the study's sources in their order; none for raw heads and the length rule.

        Raises ValueError for a source that the study does not have.
        """
        if self.kind == "source" and self.source not in names:
            allowed = f"{MIXTURE}, first<K> or one of {', '.join(names)}"
            raise ValueError(f"trained_on must be {allowed}, found {self.source!r}")
        of = {"first": tuple(names[: self.k]), "source": (self.source,), "none": ()}
        return of.get(self.kind, tuple(names))

    def n_mixed(self, n_sources: int) -> int | None:
        """How many of the study's sources one model mixes; None for models of one source or none."""
        return {"mixture": n_sources, "first": self.k}.get(self.kind)


def first_k(k: int) -> str:
    """The value of `trained_on` of models of the first K sources."""
    return str(TrainedOn("first", k=k))


def is_first_k(trained_on: str) -> bool:
    """Whether a model was trained on the first K sources (Fig 6) only."""
    return TrainedOn.parse(trained_on).kind == "first"


class SchemeSettings(Protocol):
    """What tells the part that a scheme plays, as params give it."""

    @property
    def weighting(self) -> str: ...
    @property
    def trained_on(self) -> str: ...
    @property
    def alpha(self) -> float: ...
    @property
    def losses(self) -> Mapping[str, float]: ...


@dataclass(frozen=True, slots=True)
class Roles:
    """Names of the schemes that the paper's questions are about; "(no method)" and the like where a study has none.

    method: MORE. reference: vanilla multitask training, which everything is compared with. single: one model for each
    source.
    """

    method: str = "(no method)"
    reference: str = "(no reference)"
    single: str = "(no single)"


PAPER = Roles("more", "multitask", "single")  # as the paper's printed numbers name them here


class RoleError(ValueError):
    """The schemes do not say who plays a role, or the params name one that cannot."""


def find_roles(schemes: Mapping[str, SchemeSettings], given: Mapping[str, str | None]) -> Roles:
    """Who plays which role, from what the schemes are; `given` names decide where several could.

    method: weighting `more` on the mixture; of several the one with the paper's alpha and loss. reference: weighting
    `uniform` on the mixture with the paper's loss. single: trained on each source; of several the one with the
    paper's loss. Raises RoleError naming the role and every candidate where that leaves more than one, and for a given
    name that is no scheme or was not trained as its role needs.
    """
    candidates = {
        "method": [name for name, one in schemes.items() if one.trained_on == MIXTURE and one.weighting == "more"],
        "reference": [
            name
            for name, one in schemes.items()
            if one.trained_on == MIXTURE and one.weighting == "uniform" and has_papers_loss(one)
        ],
        "single": [name for name, one in schemes.items() if one.trained_on == EACH],
    }
    found = {}
    for role, names in candidates.items():
        chosen = given.get(role)
        name = _given(role, chosen, schemes) if chosen is not None else _only(role, names, schemes)
        if name is not None:
            found[role] = name
    if len(set(found.values())) < len(found):
        raise RoleError(f"roles name one scheme twice: {', '.join(f'{role} {name}' for role, name in found.items())}")
    return Roles(**found)


def has_papers_loss(scheme: SchemeSettings) -> bool:
    """Whether the loss is Bradley-Terry alone: no smoothed labels, no penalty on rewards."""
    return not any(scheme.losses.values())


def control_schemes(schemes: Mapping[str, SchemeSettings]) -> tuple[str, ...]:
    """The schemes of the mixture that look at no gradient and yet are not vanilla mixing: weights known beforehand or
    drawn, or a loss that holds rewards back."""
    return tuple(
        name
        for name, one in schemes.items()
        if one.trained_on == MIXTURE
        and one.weighting in WITHOUT_GRADIENTS
        and not (one.weighting == "uniform" and has_papers_loss(one))
    )


def _given(role: str, name: str, schemes: Mapping[str, SchemeSettings]) -> str:
    needed = EACH if role == "single" else MIXTURE
    if name not in schemes:
        raise RoleError(f"roles.{role} names {name!r}, which is none of {', '.join(schemes)}")
    if schemes[name].trained_on != needed:
        raise RoleError(f"roles.{role} names {name!r}, which is trained on {schemes[name].trained_on}, not on {needed}")
    return name


def _only(role: str, names: Sequence[str], schemes: Mapping[str, SchemeSettings]) -> str | None:
    as_printed = [
        name
        for name in names
        if has_papers_loss(schemes[name]) and (role != "method" or schemes[name].alpha == PAPER_ALPHA)
    ]
    if len(names) > 1 and len(as_printed) != 1:
        raise RoleError(
            f"roles.{role} is not clear: {' and '.join(as_printed or names)} could play it; name one, as in "
            f"roles: {{{role}: {(as_printed or names)[0]}}}"
        )
    return (as_printed or names)[0] if names else None
