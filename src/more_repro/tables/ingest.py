"""Tables of the stages that read, audit and mix the sources."""

from more_repro.tables.column import Column, Table
from more_repro.tables.shared import (
    CHOSEN,
    N_PAIRS,
    PAIR_ID,
    PROMPT,
    PROMPT_ID,
    REASON,
    REGIME,
    REJECTED,
    REVISION,
    SEED,
    SHA256,
    SOURCE,
    SPLIT,
    TESTED_ON,
    N,
    interval,
)

_SEARCHED = Column("str", description="Source whose training prompts are searched, or `all` of them.", overrides=True)

INGEST: dict[str, Table] = {
    "pairs": Table(
        stage="ingest",
        paths=("pairs/<source>/<split>.parquet",),
        description="One preference pair of a source and split that the audit kept.",
        columns={
            "pair_id": PAIR_ID,
            "prompt_id": PROMPT_ID,
            "source": SOURCE,
            "prompt": PROMPT,
            "chosen": CHOSEN,
            "rejected": REJECTED,
            "true_preference": Column(
                "float?",
                description="Probability, in [0, 1], that the source prefers the chosen response, by the law of the "
                "embedded world; NaN for other data.",
            ),
            "shared_margin": Column(
                "float?",
                description="Utility that all sources share: chosen minus rejected, in the embedded world; NaN for "
                "other data.",
            ),
            "score_margin": Column(
                "float?",
                description="Score of chosen minus score of rejected as the data set gives it, in its own unit; NaN "
                "where it gives none.",
            ),
        },
    ),
    "corpus": Table(
        stage="ingest",
        paths=("corpus.parquet",),
        description="One text that bases are pretrained on, where this project pretrains them.",
        columns={"text": Column("str", description="Transcript: a prompt with a response.")},
    ),
    "audit": Table(
        stage="ingest",
        paths=("tables/ingest/audit.parquet",),
        description="What happened to the pairs of a source and split: one count for each reason that occurred. Kept "
        "and dropped pairs add up to those read.",
        columns={
            "source": SOURCE,
            "split": SPLIT,
            "reason": REASON.noting(description="Also `read` and `kept`."),
            "n_pairs": N_PAIRS,
        },
    ),
    "audit_sources": Table(
        stage="ingest",
        paths=("tables/ingest/audit_sources.parquet",),
        description="One source: where it comes from, and what identifies the pairs that were kept.",
        columns={
            "source": SOURCE,
            "reader": Column("str", description="Reader that the params ask for; `auto` detects the format."),
            "origin": Column("str", description="Data set on the hub, local files, or `embedded world`; its subset."),
            "revision": REVISION,
            "licence": Column("str", description="Licence that the params state; `not stated` where they do not."),
            "sha256": SHA256.noting(description="Of the kept pair_ids of each split, whatever their order."),
        },
    ),
    "audit_files": Table(
        stage="ingest",
        paths=("tables/ingest/audit_files.parquet",),
        description="One file, or split of a hub data set, that was read. None for the embedded world.",
        columns={
            "source": SOURCE,
            "split": SPLIT,
            "file": Column("str", description="File below `data.folder`, or the name of the hub data set and split."),
            "container": Column("str", description="Container that was found, such as JSON Lines, CSV or Parquet."),
            "format": Column("str", description="Format of the rows that was found."),
            "n_rows": Column("int", description="Number of raw rows, the unreadable ones among them."),
            "bytes": Column("int", description="Size in bytes."),
            "sha256": SHA256.noting(description="Of a local file's bytes, or of a hub split's rows."),
            "revision": REVISION,
        },
    ),
    "audit_examples": Table(
        stage="ingest",
        paths=("tables/ingest/audit_examples.parquet",),
        description="One of the first pairs that were dropped for a reason, for each source and split.",
        columns={
            "source": SOURCE,
            "split": SPLIT,
            "reason": REASON,
            "place": Column("str", description="File and line, or row, of the pair; empty where it is not known."),
            "prompt": Column("str", description="Text of the prompt, shortened to 200 characters.", overrides=True),
            "chosen": CHOSEN.noting(description="Shortened to 200 characters."),
            "rejected": REJECTED.noting(description="Shortened to 200 characters."),
        },
    ),
    "near_duplicates": Table(
        stage="ingest",
        paths=("tables/ingest/near_duplicates.parquet",),
        description="How many test prompts of one source are near-duplicates of training prompts of another: at least "
        "half of the prompt's different shingles of eight words occur in one training prompt. They are counted, and "
        "not dropped.",
        columns={
            "tested_on": TESTED_ON,
            "trained_on": _SEARCHED,
            "n_near": Column("int", description="Number of test prompts that are near-duplicates."),
            "n_same_dialogue": Column(
                "int", description="Number of those whose prompt, or training prompt, is the beginning of the other."
            ),
            **interval(description="Of the share of near-duplicates: Wilson, clustered by the first message."),
            "n": N.noting(description="Different test prompts."),
        },
    ),
    "near_duplicate_examples": Table(
        stage="ingest",
        paths=("tables/ingest/near_duplicate_examples.parquet",),
        description="One of the first near-duplicates of a tested source, those of other dialogues first.",
        columns={
            "tested_on": TESTED_ON,
            "trained_on": _SEARCHED,
            "share": Column("float", description="Share, in [0.5, 1], of the test prompt's shingles that recur."),
            "same_dialogue": Column("bool", description="Whether one prompt is the beginning of the other."),
            "test_prompt": Column("str", description="Text of the test prompt, shortened to 200 characters."),
            "training_prompt": Column("str", description="Text of the training prompt, shortened to 200 characters."),
        },
    ),
    "mixture": Table(
        stage="data_mixing",
        paths=("mixtures/<regime>/seed<seed>.parquet",),
        description="One place in the order in which training shows the pairs of a source; every source has as many.",
        columns={
            "source": SOURCE,
            "position": Column("int", description="Place in the source's order, from 0."),
            "pair_id": PAIR_ID,
            "pass_number": Column("int", description="How often all pairs of the source were shown before, from 0."),
        },
    ),
    "mixture_manifest": Table(
        stage="data_mixing",
        paths=("tables/data_mixing/mixture_manifest.parquet",),
        description="The training pairs of the first K sources of a mixture; equal digests mean equal pairs.",
        columns={
            "regime": REGIME,
            "seed": SEED,
            "k": Column("int", description="Number of sources, K."),
            "sources": Column("str", description="Names of the sources, separated by commas."),
            "n_pairs": N_PAIRS.noting(description="With repeats."),
            "n_unique": Column("int", description="Number of different pairs."),
            "sha256": SHA256.noting(description="Of the pair_ids in the order of training."),
        },
    ),
    "mixture_summary": Table(
        stage="data_mixing",
        paths=("tables/data_mixing/mixture_summary.parquet",),
        description="How a source enters the mixtures of a regime; the same for every seed.",
        columns={
            "regime": REGIME,
            "source": SOURCE,
            "available_pairs": Column("int", description="Training pairs that the source has."),
            "unique_pairs": Column("int", description="Different pairs that are kept."),
            "resampled_pairs": Column("int", description="Pairs after resampling, with repeats."),
            "mean_passes": Column("float", description="Times that each kept pair is shown, on average."),
        },
    ),
}
