"""Tables of the stage that judges policies."""

from more_repro.tables.column import Column, Table, with_limits
from more_repro.tables.shared import (
    AGAINST,
    BASE,
    JUDGED_SOURCE,
    MODEL,
    N_PROMPTS,
    N_SEEDS,
    NOTE,
    OPPONENT,
    POLICY,
    PROMPT_ID,
    REGIME,
    SCHEME,
    SOURCE,
    STATISTIC,
    WIN_TIE_LOSE,
    N,
    interval,
    net,
)

_CHOICE = Column(
    "str",
    description="How the sample is chosen: `best` or `worst` by the reward of the model, `random`, or `oracle` (best "
    "by the judge's own score).",
)
_SIZE = Column("int", description="Number of samples among which is chosen.", overrides=True)
_KL = Column(
    "float", description="Most that choosing the best of n can move a policy from itself: log n - (n - 1) / n, in nats."
)
_GOLD = Column("float", description="Judge's score of the chosen sample, in the judge's unit.")

JUDGING: dict[str, Table] = {
    "verdicts": Table(
        stage="judging",
        paths=("tables/judging/verdicts.parquet",),
        description="What the judge says of one policy's response to one prompt beside an opponent's.",
        columns={
            **POLICY,
            "opponent": OPPONENT,
            "prompt_id": PROMPT_ID,
            "source": SOURCE,
            "verdict": Column("str", description="Verdict on the policy's response: `win`, `tie`, `lose`, `invalid`."),
            "first": Column(
                "str",
                description="Verdict with the policy's response shown as A, the first, seen from the policy; empty for "
                "judges that give scores, and for equal texts.",
            ),
            "second": Column(
                "str",
                description="Verdict with the policy's response shown as B, the second, seen from the policy; empty "
                "for judges that give scores, and for equal texts.",
            ),
            "score": Column("float?", description="Judge's score of the response; NaN for judges that compare pairs."),
            "opponent_score": Column("float?", description="Judge's score of the opponent's response; NaN likewise."),
        },
    ),
    "win_rates": Table(
        stage="judging",
        paths=("tables/judging/win_rates.parquet",),
        description="One policy against one of the two opponents of all (`untuned`, `sft`) on the prompts of a source.",
        columns={
            **POLICY,
            "opponent": OPPONENT,
            "source": JUDGED_SOURCE,
            "n_prompts": N_PROMPTS.noting(description="Those with a valid verdict."),
            "n_invalid": Column("int", description="Number of invalid verdicts, which count in no rate."),
            **WIN_TIE_LOSE,
            **net(description="Percentiles of a bootstrap over prompts, the same resamples for all policies."),
        },
    ),
    "scheme_duels": Table(
        stage="judging",
        paths=("tables/judging/scheme_duels.parquet",),
        description="The policies of one scheme against those of another, of the same base, regime and seed: mean over "
        "seeds.",
        columns={
            "base": BASE,
            "regime": REGIME,
            "scheme": SCHEME,
            "against": AGAINST,
            "source": JUDGED_SOURCE,
            "n_seeds": N_SEEDS,
            "n_prompts": N_PROMPTS.noting(description="Those with a valid verdict for every seed."),
            **WIN_TIE_LOSE,
            **net(description="Percentiles of a bootstrap over prompts, all seeds of a prompt together."),
        },
    ),
    "ranking": Table(
        stage="judging",
        paths=("tables/judging/ranking.parquet",),
        description="The strength of one policy among all, from every comparison on the prompts of a source.",
        columns={
            **POLICY,
            "source": JUDGED_SOURCE,
            **with_limits(
                "strength",
                Column("float", description="Bradley-Terry strength, in logits, with mean 0 over policies."),
                description="Percentiles of a bootstrap over prompts.",
            ),
            **with_limits(
                "rank",
                Column("int", description="Rank by strength, 1 the strongest; equal strengths share the better one."),
                description="Percentiles of a bootstrap over prompts, rounded outwards.",
            ),
            "n_opponents": Column("int", description="Number of policies that this one is compared with."),
            "n_prompts": N_PROMPTS,
        },
    ),
    "best_of_n": Table(
        stage="judging",
        paths=("tables/judging/best_of_n.parquet",),
        description="What choosing one of n samples by one reward model is worth to the judge: the exact expectation "
        "over all subsets of n candidates. Empty for judges that compare pairs.",
        columns={
            **MODEL,
            "choice": _CHOICE,
            "source": JUDGED_SOURCE,
            "n": _SIZE,
            "kl_bound_nats": _KL,
            **with_limits("gold", _GOLD, description="Percentiles of a bootstrap over prompts."),
            **WIN_TIE_LOSE,
            **net(description="Percentiles of a bootstrap over prompts. Against the reference sample."),
            "n_prompts": N_PROMPTS,
        },
    ),
    "best_of_n_schemes": Table(
        stage="judging",
        paths=("tables/judging/best_of_n_schemes.parquet",),
        description="The same as `best_of_n`, as the mean over the seeds of a scheme.",
        columns={
            "base": BASE,
            "regime": REGIME,
            "scheme": SCHEME,
            "choice": _CHOICE,
            "source": JUDGED_SOURCE,
            "n": _SIZE,
            "kl_bound_nats": _KL,
            **with_limits(
                "gold", _GOLD, description="Student's t over prompts and seeds; with one seed as in `best_of_n`."
            ),
            **WIN_TIE_LOSE,
            **net(description="Student's t over prompts and seeds; with one seed as in `best_of_n`."),
            "n_seeds": N_SEEDS,
            "n_prompts": N_PROMPTS,
        },
    ),
    "judge": Table(
        stage="judging",
        paths=("tables/judging/judge.parquet",),
        description="The judge of the run; one row.",
        columns={
            "kind": Column("str", description="Kind of judge: `judge.kind` of the params."),
            "note": NOTE.noting(description="Here: who judged, as the report states it."),
        },
    ),
    "judge_statistics": Table(
        stage="judging",
        paths=("tables/judging/judge_statistics.parquet",),
        description="One statistic of the judge: a share of its verdicts, or a count of the run.",
        columns={
            "source": JUDGED_SOURCE,
            "statistic": STATISTIC.noting(
                description="Shares: `invalid`, `tie`, `tie_identical` (equal texts), `longer` (of decided verdicts, "
                "for the response of more words); of judges of pairs also `agreement` (of both orders), `first_place` "
                "(of answers that name a winner, the first response; 0.5 = no position bias), `tie_judged`, "
                "`tie_disagreement`. Facts: `tie_width` of scores, `questions`, `replies`, `unreadable_replies`, "
                "`cached_replies`, `calls`, `failed_calls`."
            ),
            **interval(description="Percentiles of a bootstrap over prompts; none for facts."),
            "n": N.noting(description="Verdicts or answers that a share is of; questions or responses of a fact."),
        },
    ),
    "judge_replies": Table(
        stage="judging",
        paths=("tables/judging/judge_replies.parquet",),
        description="One reply of a judge of pairs: from this table a run can be repeated without a call.",
        columns={
            "request": Column("str", description="SHA-256 of the messages that were sent."),
            "reply": Column("str", description="Text of the reply; empty where none came."),
        },
    ),
}
