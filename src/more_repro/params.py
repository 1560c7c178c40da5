"""The only reader of params.yaml: typed, frozen, and strict about what it does not know."""

import difflib
import re
import types
import typing
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from more_repro.registry import known_name, registered

# Names become folders, DVC parameter paths and stage keys: no dot, no slash, no shell word.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def _registered(folder: str, kind: str, *others: str, variants: bool = False) -> AfterValidator:
    """A name that has a file in a folder of this package, or is one of the others.

    variants: what follows a colon is for the file to understand.
    """

    def check(name: str) -> str:
        known_name(name.partition(":")[0] if variants else name, (*others, *registered(folder)), kind)
        return name

    return AfterValidator(check)


ReaderName = Annotated[str, _registered("data/sources/readers", "reader", "auto")]
WeightingName = Annotated[str, _registered("engine/weighting", "weighting", variants=True)]
LossName = Annotated[str, _registered("engine/losses", "loss term")]
JudgeName = Annotated[str, _registered("alignment/judges/kinds", "judge")]


class ParamsError(ValueError):
    """params.yaml holds something that the project cannot use; the message names the file and the key."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Source(Section):
    reader: ReaderName  # a file in data/sources/readers; auto: told by the rows
    location: str | None  # hub id, or None for files under data.folder
    revision: str | None  # hub commit; required with a hub id
    subset: str | None  # hub configuration or folder, or the domain of a domain_specific file
    train: str | None  # split name on the hub, file name under data.folder
    test: str | None
    test_pairs: Positive | None = None  # cap of this source's test pairs; None = data.test_pairs
    licence: str | None


class Data(Section):
    seed: int
    folder: str  # local files are looked for here, and DVC watches it
    train_pairs: Positive | None  # cap for each source; None = all
    validation_pairs: Positive
    test_pairs: Positive | None
    pairs_per_source: Positive  # N after resampling
    corpus_texts: Positive  # texts a base is pretrained on, where this project pretrains it
    drift: Annotated[float, Field(ge=0)]  # embedded world: strength of the source-specific drifts
    ranked: Literal["all", "top_two"]  # pairs of three or more ranked responses: every two of them, or the best two
    unreadable_rows: Count  # rows of a source that may be unreadable before the run stops


class Regime(Section):
    learning_rate: Rate
    unique_pairs: dict[Name, Positive]  # sources kept small before resampling; others keep all


class Base(Section):
    location: str | None  # hub id; None = pretrained here on the corpus
    revision: str | None
    architecture: Literal["gpt_neox", "llama"]
    rendering: Literal["plain", "chat_template"]  # how a prompt becomes text
    tokenizer: Literal["words", "bpe"]
    vocabulary: Positive | None  # BPE only
    hidden_size: Positive
    intermediate_size: Positive  # width of the feed-forward layers
    layers: Positive
    heads: Positive
    steps: Positive
    batch_size: Positive
    learning_rate: Rate


class Scheme(Section):
    weighting: WeightingName  # a file in engine/weighting
    trained_on: Literal["mixture", "each"]
    alpha: Share  # momentum: share of the NEW gradient
    normalization: Literal["none", "l2", "loss", "l2_loss"]
    lambda_scope: Literal["batch", "micro_batch"]  # micro_batch: one pair per source, as the paper's code has it
    weights: dict[Name, Annotated[float, Field(ge=0)]] | None  # of each source, for `fixed`
    # Coefficients of what is added to Bradley-Terry; each is a file in engine/losses.
    losses: dict[LossName, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)


class Sweep(Section):
    """Fig 6: reward models of the first K sources."""

    bases: tuple[Name, ...]
    schemes: tuple[Name, ...]
    counts: tuple[Annotated[int, Field(ge=2)], ...]


class Lora(Section):
    rank: Positive
    alpha: Rate
    targets: tuple[str, ...] | None  # names of the layers; None = peft's choice for the architecture


class RewardModelParams(Section):
    pairs_per_source_per_batch: Positive
    epochs: Positive
    max_length: Positive  # tokens, cut from the left
    warmup_ratio: Share
    final_learning_rate_share: Share
    weight_decay: Annotated[float, Field(ge=0)]
    gradient_clip: Rate
    token_budget: Positive | None  # tokens of one micro-batch; None = what the device does fastest
    memory_limit_gib: Rate | None  # for a step's activations; None = half of what weights and optimizer leave
    precision: Literal["fp32", "bf16"]
    processes: Positive  # that train one reward model together
    lora: Lora | None  # None = every weight is trained
    checkpoint_steps: Positive
    sweep: Sweep


class Sft(Section):
    batch_size: Positive
    epochs: Positive
    learning_rate: Rate
    warmup_ratio: Share
    lora: Lora | None  # None = every weight is trained
    checkpoint_steps: Positive


class Instructions(Section):
    """What makes a policy of the base: rows of instruction, input, output, as Alpaca's data set has them."""

    location: str | None  # hub id, or None for a file under data.folder
    revision: str | None  # hub commit; required with a hub id
    train: str  # split name on the hub, or file name
    sft: Sft


class BestOf(Section):
    """Best-of-n against n on test prompts: what optimising a reward model does to the judge's score."""

    schemes: tuple[str, ...]
    prompts: Positive
    samples: Annotated[int, Field(ge=2)]  # the largest n


class Align(Section):
    policy: Name  # the base of all policies
    instructions: Instructions | None  # Alpaca's part: fine-tuned on these first; None = the base as it is
    sources: tuple[Name, ...]  # whose prompts are sampled, whose test sets give perplexity
    schemes: tuple[str, ...]  # reward models that align a policy
    train_prompts: Positive
    test_prompts: Positive
    samples_per_prompt: Annotated[int, Field(ge=2)]
    temperature: Rate
    max_new_tokens: Positive
    sampler: Literal["transformers", "vllm"]
    sft: Sft
    best_of: BestOf


class Chat(Section):
    """A judge behind a chat endpoint; its address, model and key come from the environment alone."""

    temperature: Annotated[float, Field(ge=0)]
    max_tokens: Positive  # of a reply
    attempts: Positive  # calls for one verdict until it is invalid: unreadable replies and failed calls
    concurrency: Positive
    timeout_s: Rate
    max_calls: Positive  # budget of the whole stage, every attempt counted
    max_cost: Rate | None  # in the currency of the prices; None = no limit but max_calls
    price_prompt: Annotated[float, Field(ge=0)] | None  # per million tokens; None = not known
    price_reply: Annotated[float, Field(ge=0)] | None


class Judge(Section):
    kind: JudgeName  # a file in alignment/judges/kinds
    steps: Positive  # training steps of a held-out reward model
    prompts: Positive | None  # most test prompts that a chat or replay judge is asked about; None = all
    criteria: dict[Name, Literal["helpful", "harmless"]]  # what each source's prompts are judged by; others: helpful
    invalid_share: Share  # more invalid verdicts than this stop the stage
    replay: str | None  # file of replies under data.folder, for `replay`
    chat: Chat


class Stats(Section):
    seed: int
    bins: Annotated[int, Field(ge=2)]
    null_draws: Positive
    bootstrap_draws: Positive
    permutation_draws: Positive
    confidence: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _even(self) -> "Stats":
        if self.bins % 2:
            raise ValueError(f"bins must be even (folded and two-sided ECE agree only then), got {self.bins}")
        return self


class Report(Section):
    title: str
    # Where the page that people read goes; git tracks it.
    folder: Annotated[str, StringConstraints(pattern=r"^reports(/[a-z0-9][a-z0-9_-]{0,63})?$")]
    regime: Name  # the regime shown in the paper's own tables and figures


class Params(Section):
    profile: Name
    sources: dict[Name, Source]
    data: Data
    regimes: dict[Name, Regime]
    bases: dict[Name, Base]
    schemes: dict[Name, Scheme]
    seeds: tuple[int, ...]
    rm: RewardModelParams
    align: Align
    judge: Judge
    stats: Stats
    report: Report

    @model_validator(mode="after")
    def _not_reserved(self) -> "Params":
        for name in self.schemes:
            if name in DERIVED_SCHEMES:
                raise ValueError(f"schemes.{name}: this name is kept for a scheme that needs no training")
        for name, source in self.sources.items():
            if source.location is not None and source.revision is None:
                raise ValueError(f"sources.{name}.revision is missing: a hub data set is read at one commit")
        for name, base in self.bases.items():
            if base.location is not None and base.revision is None:
                raise ValueError(f"bases.{name}.revision is missing: a hub model is read at one commit")
        taught = self.align.instructions
        if taught is not None and taught.location is not None and taught.revision is None:
            raise ValueError("align.instructions.revision is missing: a hub data set is read at one commit")
        if self.judge.kind == "replay" and self.judge.replay is None:
            raise ValueError("judge.replay is missing: the judge `replay` reads its replies from that file")
        return self

    @model_validator(mode="after")
    def _names_exist(self) -> "Params":
        references: list[tuple[str, Iterable[str], Collection[str]]] = [
            ("align.sources", self.align.sources, self.sources),
            ("align.policy", (self.align.policy,), self.bases),
            ("align.schemes", self.align.schemes, (*self.schemes, *DERIVED_SCHEMES)),
            ("align.best_of.schemes", self.align.best_of.schemes, (*self.schemes, *DERIVED_SCHEMES)),
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
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds must be different numbers, at least one; got {list(self.seeds)}")
        return self


# Schemes made when scoring, from an untrained head, the single models, or the texts alone.
ENSEMBLES = ("ensemble_weighted", "ensemble_minimum", "ensemble_cautious")
DERIVED_SCHEMES = ("raw", "averaging", *ENSEMBLES, "length")


class _Loader(yaml.SafeLoader):
    """YAML whose `1e-6` is a number, as in YAML 1.2 and in DVC, and which refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise ParamsError(f"line {key_node.start_mark.line + 1}: key {key!r} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def load_params(path: str | Path = "params.yaml") -> Params:
    """Read and check a params file.

    Raises ParamsError that names the file, the key, what was found, and for an unknown key the nearest known one.
    """
    path = Path(path)
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; `make use PROFILE=small` makes it") from None
    except (yaml.YAMLError, ParamsError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: {error}") from None
    try:
        return Params.model_validate(_tuples(raw))
    except ValidationError as error:
        lines = [_explain(one, raw) for one in error.errors()]
        raise ParamsError(f"{path}: " + "; ".join(lines)) from None


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value


def _explain(error: Any, raw: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = _known_keys(error["loc"][:-1])
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.0)
        return f"unknown key {where!r}; the nearest known key is {near[0]!r}"
    if error["type"] == "missing":
        return f"key {where!r} is missing"
    message = error["msg"].removeprefix("Value error, ")
    return message if not where else f"{where}: {message}, found {error['input']!r}"


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    """Keys that the schema knows at a location, maps with free keys passed through."""
    current: Any = Params
    for part in location:
        if isinstance(current, type) and issubclass(current, BaseModel):
            current = current.model_fields[part].annotation
            if isinstance(current, types.UnionType):
                current = next(a for a in typing.get_args(current) if a is not type(None))
        else:
            current = typing.get_args(current)[1]  # dict[Name, Section]
    return list(current.model_fields)
