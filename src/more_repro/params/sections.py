"""The sections of params.yaml, one class each. A default is what the paper printed, or what changes nothing."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from more_repro.registry import known_name, registered
from more_repro.schemes import PAPER_ALPHA

# Names become folders, DVC parameter paths and stage keys: no dot, no slash, no shell word.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]

_FOLDER = ("./", "../", "/", "~")  # how a path begins; any other name of a model is a hub id
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


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


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Source(Section):
    reader: ReaderName  # a file in data/sources/readers; auto: told by the rows
    location: str | None = None  # hub id, or None for files under data.folder
    revision: str | None = None  # hub commit; required with a hub id
    subset: str | None = None  # hub configuration or folder, or the domain of a domain_specific file
    train: str | None = None  # split name on the hub, file name under data.folder
    test: str | None = None
    test_pairs: Positive | None = None  # cap of this source's test pairs; None = data.test_pairs
    licence: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _licence_of_the_world(cls, raw: Any) -> Any:
        """The texts of the embedded world are this project's own, and free."""
        return {"licence": "CC0-1.0"} | raw if isinstance(raw, dict) and raw.get("reader") == "embedded" else raw


class Data(Section):
    seed: int
    folder: str = "own"  # local files are looked for here, and DVC watches it
    train_pairs: Positive | None = None  # cap for each source; None = all
    validation_pairs: Positive
    test_pairs: Positive | None = None
    pairs_per_source: Positive  # N after resampling
    corpus_texts: Positive = 12_000  # texts a base is pretrained on, where this project pretrains it
    drift: Annotated[float, Field(ge=0)] = 1.0  # embedded world: strength of the source-specific drifts
    ranked: Literal["all", "top_two"] = "all"  # pairs of three or more ranked responses: every two, or the best two
    unreadable_rows: Count = 0  # rows of a source that may be unreadable before the run stops


class Regime(Section):
    learning_rate: Rate
    unique_pairs: dict[Name, Positive] = {}  # sources kept small before resampling; others keep all


class Pretraining(Section):
    """A base that this project pretrains on the corpus of its sources."""

    architecture: Literal["gpt_neox", "llama"] = "gpt_neox"
    tokenizer: Literal["words", "bpe"] = "words"
    vocabulary: Positive | None = None  # BPE only
    hidden_size: Positive
    intermediate_size: Positive  # width of the feed-forward layers
    layers: Positive
    heads: Positive
    steps: Positive
    batch_size: Positive
    learning_rate: Rate


class Base(Section):
    """A pretrained language model: `model`, from the hub or a folder, of any decoder architecture; or `pretrain`."""

    model: str | None = None  # hub id, or a path that begins with ./, ../, / or ~
    revision: str | None = None  # hub commit; required with a hub id
    rendering: Literal["plain", "chat_template"] = "plain"  # how a prompt becomes text
    pretrain: Pretraining | None = None

    @property
    def is_folder(self) -> bool:
        """Whether `model` is a path of this machine."""
        return self.model is not None and self.model.startswith(_FOLDER)

    @model_validator(mode="after")
    def _one_form(self) -> "Base":
        if self.model is None and self.pretrain is None:
            raise ValueError("needs `model` (a hub id or a folder) or `pretrain` (settings), and has neither")
        if self.pretrain is not None:
            for name, other in (("model", self.model), ("revision", self.revision)):
                if other is not None:
                    raise ValueError(f"has `pretrain` and `{name}`: a base is pretrained here or taken from elsewhere")
            if self.rendering != "plain":
                raise ValueError("has `pretrain`, whose tokenizer has no chat template: rendering must be plain")
        elif self.is_folder and self.revision is not None:
            raise ValueError(f"has a revision, and its model {self.model} is a folder: only hub models have commits")
        elif not self.is_folder and not _HUB_ID.fullmatch(str(self.model)):
            raise ValueError(f"has the model {self.model!r}: expected a hub id, or a path that begins with ./ or /")
        elif not self.is_folder and self.revision is None:
            raise ValueError(f"revision is missing: the hub model {self.model} is read at one commit")
        return self


class Scheme(Section):
    weighting: WeightingName  # a file in engine/weighting
    trained_on: Literal["mixture", "each"] = "mixture"
    alpha: Share = 1.0  # momentum: share of the NEW gradient; of `more` and `frank_wolfe` the paper's, 0.99
    normalization: Literal["none", "l2", "loss", "l2_loss"] = "none"  # of `more` and `frank_wolfe`: l2
    lambda_scope: Literal["batch", "micro_batch"] = "batch"  # micro_batch: one pair per source, as the paper's code
    weights: dict[Name, Annotated[float, Field(ge=0)]] | None = None  # of each source, for `fixed`
    # Coefficients of what is added to Bradley-Terry; each is a file in engine/losses.
    losses: dict[LossName, Annotated[float, Field(ge=0)]] = {}

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_weighting(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and raw.get("weighting") in ("more", "frank_wolfe"):
            return {"alpha": PAPER_ALPHA, "normalization": "l2"} | raw
        return raw


class RoleNames(Section):
    """Who plays which role, where what the schemes are does not say it (schemes.find_roles)."""

    method: Name | None = None
    reference: Name | None = None
    single: Name | None = None


class Sweep(Section):
    """Fig 6: reward models of the first K sources."""

    bases: tuple[Name, ...] = ()
    schemes: tuple[Name, ...] = ()
    counts: tuple[Annotated[int, Field(ge=2)], ...] = ()


class Lora(Section):
    rank: Positive
    alpha: Rate
    targets: tuple[str, ...] | None = None  # names of the layers; None = peft's choice for the architecture


class RewardModelParams(Section):
    pairs_per_source_per_batch: Positive = 16
    epochs: Positive = 1
    max_length: Positive = 512  # tokens, cut from the left
    warmup_ratio: Share = 0.0
    final_learning_rate_share: Share = 1.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    gradient_clip: Rate = 1.0
    token_budget: Positive | None = None  # tokens of one micro-batch; None = what the device does fastest
    memory_limit_gib: Rate | None = None  # for a step's activations; None = half of what weights and optimizer leave
    precision: Literal["fp32", "bf16"] = "fp32"
    processes: Positive = 1  # that train one reward model together
    lora: Lora | None = None  # None = every weight is trained
    checkpoint_steps: Positive = 50
    sweep: Sweep = Sweep()


class Sft(Section):
    batch_size: Positive = 64
    epochs: Positive = 1
    learning_rate: Rate
    warmup_ratio: Share = 0.05
    lora: Lora | None = None  # None = every weight is trained
    checkpoint_steps: Positive = 50


class Instructions(Section):
    """What makes a policy of the base: rows of instruction, input, output, as Alpaca's data set has them."""

    location: str | None = None  # hub id, or None for a file under data.folder
    revision: str | None = None  # hub commit; required with a hub id
    train: str  # split name on the hub, or file name
    sft: Sft


class BestOf(Section):
    """Best-of-n against n on test prompts: what optimising a reward model does to the judge's score."""

    schemes: tuple[str, ...]
    prompts: Positive
    samples: Annotated[int, Field(ge=2)] = 16  # the largest n


class Align(Section):
    policy: Name  # the base of all policies
    instructions: Instructions | None = None  # Alpaca's part: fine-tuned on these first; None = the base as it is
    sources: tuple[Name, ...]  # whose prompts are sampled, whose test sets give perplexity
    schemes: tuple[str, ...]  # reward models that align a policy
    train_prompts: Positive
    test_prompts: Positive
    samples_per_prompt: Annotated[int, Field(ge=2)] = 4
    temperature: Rate = 1.0
    max_new_tokens: Positive = 256
    sampler: Literal["transformers", "vllm"] = "transformers"
    sft: Sft
    best_of: BestOf


class Chat(Section):
    """A judge behind a chat endpoint; its address, model and key come from the environment alone."""

    temperature: Annotated[float, Field(ge=0)] = 0.0
    max_tokens: Positive = 512  # of a reply
    attempts: Positive = 4  # calls for one verdict until it is invalid: unreadable replies and failed calls
    concurrency: Positive = 8
    timeout_s: Rate = 60.0
    max_calls: Positive = 20_000  # budget of the whole stage, every attempt counted
    max_cost: Rate | None = None  # in the currency of the prices; None = no limit but max_calls
    price_prompt: Annotated[float, Field(ge=0)] | None = None  # per million tokens; None = not known
    price_reply: Annotated[float, Field(ge=0)] | None = None


class Judge(Section):
    kind: JudgeName  # a file in alignment/judges/kinds
    steps: Positive = 150  # training steps of a held-out reward model
    prompts: Positive | None = None  # most test prompts that a chat or replay judge is asked about; None = all
    criteria: dict[Name, Literal["helpful", "harmless"]] = {}  # of each source's prompts; of others: helpful
    invalid_share: Share = 0.05  # more invalid verdicts than this stop the stage
    replay: str | None = None  # file of replies under data.folder, for `replay`
    chat: Chat = Chat()


class Stats(Section):
    seed: int = 7
    bins: Annotated[int, Field(ge=2)] = 10
    null_draws: Positive = 1000
    bootstrap_draws: Positive = 1000
    permutation_draws: Positive = 2000
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95

    @model_validator(mode="after")
    def _even(self) -> "Stats":
        if self.bins % 2:
            raise ValueError(f"bins must be even (folded and two-sided ECE agree only then), got {self.bins}")
        return self


class Report(Section):
    title: str = "Reward models under diversified preferences"
    # Where the page that people read goes; git tracks it.
    folder: Annotated[str, StringConstraints(pattern=r"^reports(/[a-z0-9][a-z0-9_-]{0,63})?$")] = "reports"
    regime: Name  # the regime shown in the paper's own tables and figures
