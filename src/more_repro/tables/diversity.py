"""Tables of the stage that compares the sources before any reward model is trained."""

from more_repro.tables.column import Column, Table
from more_repro.tables.shared import (
    N_PAIRS,
    N_PROMPTS,
    NULL_HIGH,
    NULL_LOW,
    NULL_MEAN,
    SOURCE,
    STATISTIC,
    TESTED_ON,
    N,
    interval,
)

_MEASURE = Column(
    "str",
    description="Similarity measure: `prompt_overlap` (share of a's prompts that b has), `vocabulary_jaccard` (of the "
    "1000 most frequent words of halves), `shared_pairs` (share of a's pairs that b compares too), `shared_opposed` "
    "(share of those with the other choice), `prompt_auc` and `response_auc` (of a linear classifier of the two "
    "sources; 0.5 = alike), `direction_cosine` and `direction_cosine_corrected` (of linear Bradley-Terry models; the "
    "latter divided by its ceiling), `agreement` and `conflict` (of these models' choices on a's test pairs), "
    "`true_agreement` and `true_conflict` (of the embedded world's utilities).",
)

DIVERSITY: dict[str, Table] = {
    "source_statistics": Table(
        stage="diversity_statistics",
        paths=("tables/diversity_statistics/source_statistics.parquet",),
        description="One statistic of the texts of a source's training pairs.",
        columns={
            "source": SOURCE,
            "statistic": STATISTIC.noting(
                description="`mean_`, `q10_`, `q25_`, `median_`, `q75_` and `q90_` of words of prompt, chosen and "
                "rejected, of the extra words of chosen, and of user turns; `multi_turn` and `longer_wins` (shares); "
                "`distinct_prompts` and `distinct_words` (counts)."
            ),
            **interval(
                description="Clustered by prompt: Student's t for means, Wilson for shares, Woodruff for quantiles; "
                "none for counts."
            ),
            "n": N.noting(description="Training pairs."),
            "n_prompts": N_PROMPTS,
        },
    ),
    "transfer": Table(
        stage="diversity_statistics",
        paths=("tables/diversity_statistics/transfer.parquet",),
        description="Accuracy of a linear Bradley-Terry model of one source on the test pairs of another.",
        columns={
            "trained_on": Column("str", description="Source that the linear model is fitted to.", overrides=True),
            "tested_on": TESTED_ON,
            **interval(description="Wilson, clustered by prompt; the fitted model is taken as given."),
            "n": N.noting(description="Test pairs."),
            "n_prompts": N_PROMPTS,
        },
    ),
    "source_similarity": Table(
        stage="diversity_statistics",
        paths=("tables/diversity_statistics/source_similarity.parquet",),
        description="One measure of how alike two sources are. Rows of a source with itself, where there are any, "
        "compare two halves of it: what the same source gives.",
        columns={
            "source_a": Column("str", description="First source of the two, a."),
            "source_b": Column("str", description="Second source of the two, b."),
            "measure": _MEASURE,
            **interval(
                description="Wilson for shares and AUC, clustered by prompt; normal, from bootstrap samples of "
                "prompts, for cosines and the Jaccard index. Agreement and conflict include the noise of the models."
            ),
            "n": N.noting(description="Prompts, words, pairs or texts that the measure compares."),
        },
    ),
    "word_divergence": Table(
        stage="diversity_statistics",
        paths=("tables/diversity_statistics/word_divergence.parquet",),
        description="How far apart the words of a source's chosen and rejected responses are, beside what chance "
        "gives. Null: the two responses of a pair are exchangeable, all pairs of a prompt together.",
        columns={
            "source": SOURCE,
            "divergence_bits": Column("float", description="Jensen-Shannon divergence, in bits, in [0, 1]."),
            "null_mean": NULL_MEAN,
            "null_low": NULL_LOW,
            "null_high": NULL_HIGH,
            "excess_bits": Column("float", description="Divergence minus the mean of the null, in bits."),
            "p": Column(
                "float",
                description="Share of null draws at least as large as the divergence, itself counted among them.",
                overrides=True,
            ),
            "n_pairs": N_PAIRS,
            "n_prompts": N_PROMPTS,
        },
    ),
    "word_log_odds": Table(
        stage="diversity_statistics",
        paths=("tables/diversity_statistics/word_log_odds.parquet",),
        description="One of the words that most distinguish a source's chosen responses from its rejected ones.",
        columns={
            "source": SOURCE,
            "word": Column("str", description="Word, in lower case."),
            "log_odds": Column(
                "float",
                description="Log odds of the word in chosen minus that in rejected responses, with an informative "
                "Dirichlet prior of 1000 words (Monroe, Colaresi and Quinn 2008); nats.",
            ),
            "low": Column("float", description="Lower limit of `log_odds`; test-based, from `z`.", overrides=True),
            "high": Column("float", description="Upper limit of `log_odds`; test-based, from `z`.", overrides=True),
            "z": Column("float", description="Difference of the word's shares over its error, clustered by prompt."),
            "z_limit": Column("float", description="|z| that chance exceeds at most, Bonferroni over all words."),
            "n_chosen": Column("int", description="Occurrences in chosen responses."),
            "n_rejected": Column("int", description="Occurrences in rejected responses."),
        },
    ),
}
