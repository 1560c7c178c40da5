"""Tables of the stages that sample a policy and align policies by rejection sampling and fine-tuning."""

from more_repro.tables.column import Column, Table, with_limits
from more_repro.tables.shared import (
    FINISHED,
    MODEL,
    N_TOKENS,
    POLICY,
    PROMPT,
    PROMPT_ID,
    RESPONSE,
    REWARD,
    SAMPLE_INDEX,
    SETTINGS,
    SOURCE,
)

ALIGNMENT: dict[str, Table] = {
    "samples": Table(
        stage="sampling",
        paths=("tables/sampling/samples.parquet", "tables/sampling/best_of_samples.parquet"),
        description="One response of the policy before alignment to one prompt: of the training prompts that policies "
        "are aligned on, or (best_of_samples) of test prompts, where sample 0 is the reference of best-of-n.",
        columns={
            "prompt_id": PROMPT_ID,
            "source": SOURCE,
            "prompt": PROMPT,
            "number": SAMPLE_INDEX,
            "response": RESPONSE,
            "n_tokens": N_TOKENS.noting(description="Of the response."),
            "finished": FINISHED,
            "settings": SETTINGS,
        },
    ),
    "rewards": Table(
        stage="rjs_alignment",
        paths=("tables/rjs_alignment/rewards.parquet", "tables/rjs_alignment/best_of_rewards.parquet"),
        description="The reward that one reward model gives one sample, of table `samples` or of best_of_samples.",
        columns={
            **MODEL,
            "prompt_id": PROMPT_ID,
            "number": SAMPLE_INDEX,
            "reward": REWARD,
        },
    ),
    "picks": Table(
        stage="rjs_alignment",
        paths=("tables/rjs_alignment/picks.parquet",),
        description="The sample that one policy is tuned on for one prompt: the one of highest reward by its model, "
        "ties to the lowest index; for the controls one by chance, the worst, or the best by the known utility.",
        columns={
            **POLICY,
            "prompt_id": PROMPT_ID,
            "source": SOURCE,
            "number": SAMPLE_INDEX,
            "reward": REWARD.noting(
                description="`worst_choice`: by the first of `align.schemes`; `oracle_choice`: the known utility; NaN "
                "for `random_choice`.",
                kind="float?",
            ),
        },
    ),
    "responses": Table(
        stage="rjs_alignment",
        paths=("tables/rjs_alignment/responses.parquet",),
        description="The response of one policy to one test prompt.",
        columns={
            **POLICY,
            "prompt_id": PROMPT_ID,
            "source": SOURCE,
            "prompt": PROMPT,
            "response": RESPONSE,
            "n_tokens": N_TOKENS.noting(description="Of the response."),
            "finished": FINISHED,
            "settings": SETTINGS,
        },
    ),
    "perplexity": Table(
        stage="rjs_alignment",
        paths=("tables/rjs_alignment/perplexity.parquet",),
        description="Perplexity of one policy on the chosen responses of one source's test pairs.",
        columns={
            **POLICY,
            "source": SOURCE,
            **with_limits(
                "perplexity",
                Column("float", description="Exponential of all nats over all tokens, every text in it; 1 or more."),
                description="Percentiles of a bootstrap over prompts, the same resamples for all policies.",
            ),
            "mean_perplexity": Column("float", description="Mean over texts of each one's own perplexity."),
            "median_perplexity": Column("float", description="Median over texts of each one's own perplexity."),
            "n_texts": Column("int", description="Number of texts."),
            "n_tokens": N_TOKENS.noting(description="Of the responses, all texts."),
            "n_long": Column("int", description="Texts longer than the policy's window, which are read by stride."),
            "n_outliers": Column("int", description="Texts whose own perplexity is above 10,000; they are kept."),
        },
    ),
}
