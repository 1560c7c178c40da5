"""A whole study as params.yaml describes it: its sections, and what must agree between them."""

from collections.abc import Collection, Iterable

from pydantic import ConfigDict, Field, model_validator

from more_repro.params.sections import (
    Align,
    Base,
    Data,
    Judge,
    Name,
    Regime,
    Report,
    RewardModelParams,
    RoleNames,
    Scheme,
    Section,
    Source,
    Stats,
)
from more_repro.schemes import (
    DERIVED,
    NONE,
    RESERVED_SCHEMES,
    RESERVED_SOURCES,
    Roles,
    find_roles,
    is_first_k,
)


class Params(Section):
    model_config = ConfigDict(serialize_by_alias=True)

    profile: Name
    sources: dict[Name, Source]
    data: Data
    regimes: dict[Name, Regime]
    bases: dict[Name, Base]
    schemes: dict[Name, Scheme]
    role_names: RoleNames | None = Field(default=None, alias="roles")  # as written; `roles` are those found
    seeds: tuple[int, ...]
    rm: RewardModelParams = RewardModelParams()
    align: Align
    judge: Judge
    stats: Stats = Stats()
    report: Report

    @property
    def roles(self) -> Roles:
        """The schemes that the paper's questions are about: found from what they are, or named in the params."""
        given = {} if self.role_names is None else self.role_names.model_dump()
        return find_roles(self.schemes, given)

    @model_validator(mode="after")
    def _not_reserved(self) -> "Params":
        for name in self.schemes:
            if name in RESERVED_SCHEMES:
                why = "a scheme that needs no training" if name in DERIVED else "what is no trained scheme"
                raise ValueError(f"schemes.{name}: this name is kept for {why}")
        for name in self.sources:
            if name in RESERVED_SOURCES or is_first_k(name):
                raise ValueError(f"sources.{name}: this name is kept for several sources together")
        for where, names in (("bases", self.bases), ("regimes", self.regimes)):
            if NONE in names:
                raise ValueError(f"{where}.{NONE}: this name is kept for what has none")
        return self

    @model_validator(mode="after")
    def _complete(self) -> "Params":
        for name, source in self.sources.items():
            if source.location is not None and source.revision is None:
                raise ValueError(f"sources.{name}.revision is missing: a hub data set is read at one commit")
            if source.reader != "embedded" and source.train is None:
                raise ValueError(f"sources.{name}.train is missing: the file, or the hub's split, of training pairs")
        taught = self.align.instructions
        if taught is not None and taught.location is not None and taught.revision is None:
            raise ValueError("align.instructions.revision is missing: a hub data set is read at one commit")
        if self.judge.kind == "replay" and self.judge.replay is None:
            raise ValueError("judge.replay is missing: the judge `replay` reads its replies from that file")
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds must be different numbers, at least one; got {list(self.seeds)}")
        return self

    @model_validator(mode="after")
    def _names_exist(self) -> "Params":
        references: list[tuple[str, Iterable[str], Collection[str]]] = [
            ("align.sources", self.align.sources, self.sources),
            ("align.policy", (self.align.policy,), self.bases),
            ("align.schemes", self.align.schemes, (*self.schemes, *DERIVED)),
            ("align.best_of.schemes", self.align.best_of.schemes, (*self.schemes, *DERIVED)),
            ("judge.criteria", self.judge.criteria, self.sources),
            ("rm.sweep.bases", self.rm.sweep.bases, self.bases),
            ("rm.sweep.schemes", self.rm.sweep.schemes, self.schemes),
            ("report.regime", (self.report.regime,), self.regimes),
            *((f"regimes.{r}.unique_pairs", v.unique_pairs, self.sources) for r, v in self.regimes.items()),
            *((f"schemes.{n}.weights", s.weights or (), self.sources) for n, s in self.schemes.items()),
        ]
        for where, names, known in references:
            for name in names:
                if name not in known:
                    raise ValueError(f"{where} names {name!r}, which is none of {', '.join(known)}")
        for name, scheme in self.schemes.items():
            missing = [source for source in self.sources if source not in (scheme.weights or ())]
            if scheme.weighting == "fixed" and missing:
                raise ValueError(f"schemes.{name}.weights lacks {', '.join(missing)}: `fixed` needs every source")
        return self

    @model_validator(mode="after")
    def _roles_are_clear(self) -> "Params":
        _ = self.roles  # raises where two schemes could play one
        return self
