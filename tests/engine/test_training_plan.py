"""Which pairs each step sees, and a trainer that is given them instead of rows."""

from pathlib import Path

import pytest
import torch
from preference_files import preference_rows, write_base
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from more_repro.engine import MoreConfig, MoreTrainer
from more_repro.engine.batching.preference_rows import encode_rows
from more_repro.engine.batching.token_pairs import EncodedPairs
from more_repro.engine.training_plan import TrainingPlan, drawn_plan, ordered_plan

ROWS = {"helpful": preference_rows(12, 0), "harmless": preference_rows(8, 1)}
EQUAL = {"prompt": "w1", "chosen": " w2 w3", "rejected": " w2 w3"}


class Killed(Exception):
    """Stands for a kill between two steps."""


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return write_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def tokenizer(base) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(base)


def encoded(tokenizer, rows=ROWS) -> dict[str, EncodedPairs]:
    return {name: encode_rows(own, tokenizer, 64, name).pairs for name, own in rows.items()}


def config(out: Path | str = "out", **changes) -> MoreConfig:
    settings = {"learning_rate": 1e-2, "per_source_batch_size": 4, "max_steps": 5, "max_length": 64, "save_steps": 2}
    return MoreConfig(out, **{**settings, **changes})


def chosen_texts(plan: TrainingPlan, source: int) -> list[list[int]]:
    """Tokens of the chosen sides that a source gives, in the order of training."""
    found = plan.pairs.sequences
    return [
        found.flat[found.starts[row] : found.starts[row] + found.lengths[row]].tolist()
        for row in plan.pairs.chosen[:, source].flatten()
    ]


def test_a_given_order_is_kept_and_begins_anew_where_it_ends(tokenizer):
    sources = encoded(tokenizer)
    order = {"helpful": torch.tensor([3, 1, 2, 3]), "harmless": torch.arange(8)}
    plan = ordered_plan(sources, order, config(max_steps=2))
    assert plan.pairs.chosen.shape == plan.pairs.rejected.shape == (2, 2, 4)
    helpful = encode_rows([ROWS["helpful"][row] for row in (3, 1, 2, 3) * 2], tokenizer, 64, "rows").pairs
    expected = [helpful.sequences.padded(row[None])[0].tolist() for row in helpful.chosen]
    assert chosen_texts(plan, 0) == expected
    assert plan.unique_counts == (3, 8)
    assert (plan.sources, plan.n_equal, plan.n_truncated) == (("helpful", "harmless"), 0, 0)


def test_pairs_with_equal_sides_are_left_out_of_either_plan_and_counted(tokenizer):
    sources = encoded(tokenizer, {"helpful": [EQUAL, *ROWS["helpful"], EQUAL], "harmless": ROWS["harmless"]})
    order = {"helpful": torch.tensor([0, 5, 0, 6, 7, 8]), "harmless": torch.arange(8)}
    plans = ordered_plan(sources, order, config(max_steps=1)), drawn_plan(sources, config())
    assert [plan.n_equal for plan in plans] == [2, 2]
    for plan in plans:
        assert bool((plan.pairs.chosen != plan.pairs.rejected).all())
    without = ordered_plan(encoded(tokenizer), {**order, "helpful": torch.tensor([4, 5, 6, 7])}, config(max_steps=1))
    assert chosen_texts(plans[0], 0) == chosen_texts(without, 0)
    assert plans[1].unique_counts == (12, 8)


def test_a_source_without_a_usable_pair_and_an_order_without_an_end_are_refused(tokenizer):
    sources = encoded(tokenizer, {"helpful": [EQUAL], "harmless": ROWS["harmless"]})
    with pytest.raises(ValueError, match="helpful: every pair is equal after truncation to 64 tokens"):
        drawn_plan(sources, config())
    with pytest.raises(ValueError, match="set max_steps"):
        ordered_plan(sources, {}, config(max_steps=None))


def test_a_plan_of_other_settings_is_refused(base, tokenizer, tmp_path):
    plan = drawn_plan(encoded(tokenizer), config())
    with pytest.raises(ValueError, match="per_source_batch_size is 3, the plan was made with 4"):
        MoreTrainer.from_plan(str(base), config(tmp_path, per_source_batch_size=3), plan, tokenizer)
    rows = encode_rows([{"chosen": "w1 " * 70, "rejected": "w2"}], tokenizer, 100, "long")
    long = drawn_plan({"long": rows.pairs}, config())
    with pytest.raises(ValueError, match=r"MORE: a sequence has \d+ tokens, the model positions for 64"):
        MoreTrainer.from_plan(str(base), config(tmp_path), long, tokenizer)


def test_a_trainer_of_a_plan_is_that_of_the_rows_and_resumes_to_the_bit(base, tokenizer, tmp_path):
    rows = MoreTrainer(str(base), config(tmp_path / "rows"), ROWS, tokenizer)
    rows.train()

    def trainer() -> MoreTrainer:
        args = config(tmp_path / "plan", scratch_checkpoints=True)
        plan = drawn_plan(encoded(tokenizer), args)
        return MoreTrainer.from_plan(str(base), args, plan, tokenizer, name="planned", fingerprint="of the caller")

    def stop(done: int) -> None:
        if done == 3:
            raise Killed

    with pytest.raises(Killed):
        trainer().train(after_step=stop)
    again, steps = trainer(), []
    state = again.train(resume_from_checkpoint=True, after_step=steps.append)
    assert steps == [3, 4, 5]
    assert state == rows.state
    assert all(torch.equal(tensor, rows.model.state_dict()[name]) for name, tensor in again.model.state_dict().items())
    assert sorted(path.name for path in again.args.checkpoints.iterdir()) == ["step00000002", "step00000004"]


def test_scratch_checkpoints_of_another_training_are_deleted(base, tokenizer, tmp_path, capsys):
    args = config(tmp_path, scratch_checkpoints=True)
    plan = drawn_plan(encoded(tokenizer), args)
    for name in ("one", "other"):
        trainer = MoreTrainer.from_plan(str(base), args, plan, tokenizer, fingerprint=name)
        trainer.train(resume_from_checkpoint=True)
    assert "the earlier checkpoints are deleted" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]
