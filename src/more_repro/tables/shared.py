"""Columns that several tables have, each described once. What a table adds to one is noted there."""

from more_repro.tables.column import Column, with_limits

SOURCE = Column("str", description="Preference data set (source).")
SPLIT = Column("str", description="Part of a source: `train`, `validation` or `test`.")
REASON = Column(
    "str",
    description="Why pairs were dropped. By the reader: `unreadable`, `tie`, `empty`, `identical`, "
    "`different_prompts`, `no_answer`, `multi_turn`, `other_language`, `deleted`, `unreviewed`, `unranked`, "
    "`no_prompt`. By the audit: `contradictory` (the same two responses both ways round), `duplicate`, `leaked` (the "
    "prompt is in a test set), `in_validation`, `to_test` and `to_validation` (moved there), `over_cap`.",
)
PAIR_ID = Column("str", description="Digest of source, prompt, chosen and rejected: 16 hexadecimal digits.")
PROMPT_ID = Column("str", description="Digest of the prompt: 16 hexadecimal digits. Equal prompts have equal ones.")
PROMPT = Column("str", description="Prompt, as a JSON list of [role, content].")
CHOSEN = Column("str", description="Response that was preferred.")
REJECTED = Column("str", description="Response that was not preferred.")
SHA256 = Column("str", description="SHA-256 in hexadecimal digits.")
REVISION = Column("str", description="Commit of the data set on the Hugging Face hub; empty for local files.")
TESTED_ON = Column("str", description="Source whose test pairs are used.")

BASE = Column("str", description="Pretrained language model under the reward head; `none` where no base is involved.")
REGIME = Column(
    "str",
    description="How many unique pairs each source keeps before it is resampled, and the learning rate: a key of "
    "`regimes` in the params; `none` for what is not trained.",
)
SCHEME = Column("str", description="How one reward function is made from the sources; `single` is one source alone.")
TRAINED_ON = Column(
    "str",
    description="Training pairs of the reward model: `mixture` (all sources), a source's name, `first<K>` (the first K "
    "sources), `each` (every source's own model) or `none`.",
)
SEED = Column("int", description="Training seed; 0 for what is not trained.")
MODEL = {"base": BASE, "regime": REGIME, "scheme": SCHEME, "trained_on": TRAINED_ON, "seed": SEED}
MODEL_WITHOUT_SEED = {name: column for name, column in MODEL.items() if name != "seed"}
POLICY = {
    "policy": Column(
        "str",
        description="Name of the policy: `base/regime/scheme/trained_on/seed<n>` of the reward model that aligned it, "
        "or a reference (`untuned`, `sft`, `random_choice`, `worst_choice`, `oracle_choice`).",
    ),
    **MODEL,
}
AGAINST = Column("str", description="Scheme that is compared with: differences are `scheme` minus `against`.")

POOLED_SOURCE = SOURCE.noting(
    description="Also `align` (the sources of `align.sources` pooled) and `all` (all pooled)."
)
SUMMARY_SOURCE = SOURCE.noting(
    description="Also `align` (the sources of `align.sources` pooled), `all` (all pooled) and `mean` (plain mean over "
    "sources)."
)
JUDGED_SOURCE = SOURCE.noting(description="Also `all` (the prompts of all sources together).")

N_PAIRS = Column("int", description="Number of pairs.")
N_PROMPTS = Column("int", description="Number of different prompts.")
N_SEEDS = Column("int", description="Number of training seeds behind the row.")
N_TOKENS = Column("int", description="Number of tokens.")
N = Column("int", description="Number of units behind the row.")

STATISTIC = Column("str", description="Name of the quantity that `estimate` is.")
METRIC = Column("str", description="Name of the metric: a column of table `metrics`.")
ESTIMATE = Column("float?", description="Estimate of the quantity that the row names; NaN where it is not defined.")
LOW = Column(
    "float?",
    description="Lower limit of the interval of `estimate`, at the confidence of `stats.confidence`; NaN where there "
    "is no interval.",
)
HIGH = Column(
    "float?",
    description="Upper limit of the interval of `estimate`, at the confidence of `stats.confidence`; NaN where there "
    "is no interval.",
)
P = Column(
    "float?", description="Two-sided p-value of the hypothesis that `estimate` is 0; NaN where there is no test."
)
P_HOLM = Column("float?", description="The p-value after Holm's correction in its family; NaN where there is no test.")
NULL_LOW = Column("float", description="Lower limit of the middle `stats.confidence` of the null distribution.")
NULL_HIGH = Column("float", description="Upper limit of the middle `stats.confidence` of the null distribution.")
NULL_MEAN = Column("float", description="Mean of the null distribution.")

ACCURACY = Column(
    "float", description="Share of pairs whose chosen response has the higher reward, in [0, 1]; a tie counts one half."
)
ECE = Column(
    "float?",
    description="Expected calibration error, in [0, 1]: mean over `stats.bins` bins of equal width, weighted by pairs, "
    "of |accuracy - mean confidence|, with confidence max(p, 1 - p) and p the sigmoid of the margin.",
)
LEARNING_RATE = Column("float", description="Learning rate of the step.")
STEP = Column("int", description="Number of the optimizer step.")
BIN_LOW = Column("float", description="Lower edge of the bin.")
BIN_HIGH = Column("float", description="Upper edge of the bin.")

SAMPLE_INDEX = Column("int", description="Which of the prompt's samples it is, from 0.")
RESPONSE = Column("str", description="Text that the policy wrote.")
FINISHED = Column("bool", description="Whether the policy ended the response itself, within the tokens it was allowed.")
SETTINGS = Column(
    "str",
    description="All that the response was drawn with, as JSON: sampler and versions, policy, precision, temperature, "
    "lengths, seed, and the fine-tuning of an aligned policy.",
)
REWARD = Column("float", description="Reward that the model of the row gives the sample.")
OPPONENT = Column("str", description="Policy that the row's policy is compared with.")
EVIDENCE = Column(
    "str",
    description="What the row rests on: `this run` (all regimes), `this run: <regime>`, or `published` (the numbers "
    "printed in the paper).",
)
OUTCOME = Column(
    "str",
    description="Outcome that is explained: `net_win` (net win rate against the untuned policy) or "
    "`perplexity_<source>` (of the aligned policy on chosen responses).",
)
NOTE = Column("str", description="What to know before using the row; empty where there is nothing.")
SENTENCE = Column("str", description="The finding as a sentence, with its numbers.")


def interval(description: str) -> dict[str, Column]:
    """`estimate`, `low` and `high`; description: how the interval is made.
    overrides: of the limits, see `Column`.
    """
    limits = {"low": LOW, "high": HIGH}
    return {"estimate": ESTIMATE} | {name: column.noting(description=description) for name, column in limits.items()}


WIN_TIE_LOSE = {
    "win": Column("float", description="Share of valid comparisons that are won, in [0, 1]."),
    "tie": Column("float", description="Share of valid comparisons that are tied, in [0, 1]."),
    "lose": Column("float", description="Share of valid comparisons that are lost, in [0, 1]."),
}


def net(description: str) -> dict[str, Column]:
    """The net win rate with its limits; description: how the interval is made.
    overrides: of the limits, see `Column`.
    """
    column = Column("float", description="Net win rate, `win` minus `lose`, in [-1, 1].")
    return with_limits("net", column, description=description)
