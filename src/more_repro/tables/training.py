"""Tables of the stages that pretrain bases, train reward models and score pairs."""

from more_repro.tables.column import Column, Table
from more_repro.tables.shared import (
    BASE,
    LEARNING_RATE,
    MODEL,
    N_PAIRS,
    N_TOKENS,
    PAIR_ID,
    PROMPT_ID,
    SOURCE,
    SPLIT,
    STEP,
)

TRAINING: dict[str, Table] = {
    "base_training": Table(
        stage="base",
        paths=("tables/base-<base>/base_training.parquet",),
        description="One step of the pretraining of a base. No row for a base that comes from elsewhere.",
        columns={
            "base": BASE,
            "step": STEP.noting(description="From 0."),
            "loss": Column(
                "float", description="Cross-entropy of the step's batch, in nats per token.", overrides=True
            ),
            "learning_rate": LEARNING_RATE,
        },
    ),
    "training_log": Table(
        stage="reward_model_training",
        paths=("training/<base>/<scheme>.parquet",),
        description="One training step of a reward model, for one of its sources.",
        columns={
            **MODEL,
            "step": STEP.noting(description="From 1."),
            "source": SOURCE,
            "loss": Column("float", description="Mean loss over the step's pairs of the source, in nats."),
            "lambda": Column("float", description="Weight of the source in the step's loss; the sources' add up to 1."),
            "margin": Column("float", description="Mean reward of chosen minus rejected over the source's pairs."),
            "head_gradient_norm": Column(
                "float", description="Length of the gradient of the source's loss with respect to the head."
            ),
            "learning_rate": LEARNING_RATE,
        },
    ),
    "training_summary": Table(
        stage="reward_model_training",
        paths=(),
        description="The training of one reward model.",
        columns={
            **MODEL,
            "n_steps": Column("int", description="Number of optimizer steps."),
            "n_pairs": N_PAIRS.noting(description="A pair counts each time it is used."),
            "n_tokens": N_TOKENS.noting(description="That went through the model, a prefix shared by a pair once."),
            "padding_share": Column("float", description="Share of the computed tokens that are padding, in [0, 1]."),
            "n_truncated_pairs": Column("int", description="Pairs of the mixture cut on the left to `rm.max_length`."),
            "n_equal_pairs": Column(
                "int", description="Pairs of the mixture whose two texts are equal after that; they are left out."
            ),
        },
    ),
    "scores": Table(
        stage="scoring",
        paths=("scores/<base>.parquet",),
        description="The rewards that one reward model gives the two responses of one validation or test pair.",
        columns={
            **MODEL,
            "split": SPLIT,
            "source": SOURCE,
            "pair_id": PAIR_ID,
            "prompt_id": PROMPT_ID,
            "reward_chosen": Column(
                "float", description="Reward of the chosen response; for the scheme `length` its number of words."
            ),
            "reward_rejected": Column(
                "float", description="Reward of the rejected response; for the scheme `length` its number of words."
            ),
        },
    ),
}
