"""The loop that pretrains bases and fine-tunes policies."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, PreTrainedModel, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from more_repro.lm import bases, causal, encoding, training
from more_repro.lm.device import pinned_threads
from more_repro.lm.encoding import Example
from more_repro.lm.optimizer import cosine_share
from more_repro.lm.training import CausalTraining, train_causal_lm
from tiny_models import tiny_config


class Killed(Exception):
    """Stands for a kill between two steps."""


@pytest.fixture
def examples(tokenizer, transcripts):
    return encoding.encode_examples(tokenizer, [p for p, _ in transcripts[:40]], [r for _, r in transcripts[:40]], 32)


def dropping_lm() -> PreTrainedModel:
    """A model whose dropout draws from the global generator in every step."""
    torch.manual_seed(3)
    config = tiny_config("gpt_neox", 50)
    config.hidden_dropout = 0.1
    return AutoModelForCausalLM.from_config(config).eval()


def random_examples(n: int = 40) -> list[Example]:
    rng = np.random.default_rng(0)
    return [Example(rng.integers(2, 50, int(rng.integers(6, 20))).tolist(), int(rng.integers(1, 6))) for _ in range(n)]


def course(**changes) -> CausalTraining:
    settings = {"batch_size": 8, "steps": 3, "learning_rate": 1e-2, "warmup_ratio": 0.0, "seed": 0}
    return CausalTraining(**{**settings, **changes})


def train(model, examples, checkpoints=None, after_step=None, **changes):
    return train_causal_lm(
        model, examples, course(**changes), name="t", checkpoints=checkpoints, fingerprint="f", quiet_s=math.inf,
        after_step=after_step,
    )  # fmt: skip


def test_first_training_loss_is_the_mean_over_the_batchs_response_tokens(model, examples):
    batch = examples[:8]
    nats, counts = causal.negative_log_likelihood(model, batch, 256)
    log = train(model, batch, steps=1)
    assert log["loss"].iloc[0] == pytest.approx(nats.sum() / counts.sum(), rel=1e-6)


def test_training_ignores_what_prompts_predict(model, tokenizer):
    """One response token: the output layer's gradient is that token's alone, (p - onehot) x hidden."""
    example = Example([3, 4, 5, 6], 3)
    training.add_gradient(model, [example], 1000)
    gradient = model.get_output_embeddings().weight.grad
    hidden = model.base_model(input_ids=torch.tensor([[3, 4, 5]])).last_hidden_state[0, -1]
    p = torch.softmax(model.get_output_embeddings()(hidden), dim=0)
    p[6] -= 1
    torch.testing.assert_close(gradient, torch.outer(p, hidden), rtol=1e-4, atol=1e-6)


def test_micro_batches_give_the_whole_batchs_gradient(model, examples):
    gradients = []
    for budget in (100_000, 40):
        model.zero_grad()
        training.add_gradient(model, examples[:8], budget)
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_same_seed_same_numbers_whatever_the_thread_count(base_dir, examples):
    before, logs = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        logs.append(train(bases.load_causal_lm(base_dir), examples))
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert logs[0].equals(logs[1])
    assert not logs[0].equals(train(bases.load_causal_lm(base_dir), examples, seed=1))


def test_every_example_is_seen_once_in_a_pass():
    order = training.batch_order(10, 4, 5, np.random.default_rng(0))
    assert order.shape == (5, 4)
    assert sorted(order.flatten()[:10]) == sorted(order.flatten()[10:]) == list(range(10))


def test_nothing_to_predict_is_an_error_in_training_and_zero_in_measuring(model):
    empty = [Example([1, 2], 2), Example([1], 0)]
    with pytest.raises(ValueError, match="t: none of 2 examples has a token after its prompt"):
        train(model, empty)
    nats, counts = causal.negative_log_likelihood(model, [*empty, Example([1, 2, 3], 1)], 100)
    assert counts.tolist() == [0, 0, 2]
    assert nats[:2].tolist() == [0.0, 0.0]
    assert nats[2] > 0


class ByTrainer(Trainer):
    """transformers' Trainer with this loss; an item of its data set is the batch of a step."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        losses, _ = causal.token_losses(model, inputs["batch"])
        return losses.sum() / len(losses)

    def _get_train_sampler(self, train_dataset=None):
        return SequentialSampler(self.train_dataset)


def test_the_loop_takes_the_path_of_transformers_trainer(base_dir, examples, tmp_path):
    steps, rate = 11, 1e-2
    ours, theirs = (bases.load_causal_lm(base_dir) for _ in range(2))
    log = train(ours, examples, steps=steps, learning_rate=rate, warmup_ratio=0.2)
    order = training.batch_order(len(examples), 8, steps, np.random.default_rng(0))
    batches = [{"batch": [examples[number] for number in batch]} for batch in order]
    args = TrainingArguments(
        output_dir=str(tmp_path), per_device_train_batch_size=1, max_steps=steps, max_grad_norm=1.0, learning_rate=rate,
        use_cpu=True, logging_steps=1, report_to=[], disable_tqdm=True, save_strategy="no", weight_decay=0.0,
        remove_unused_columns=False, dataloader_pin_memory=False,
    )  # fmt: skip
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=rate, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine_share(step, steps, 0.2))
    trainer = ByTrainer(
        model=theirs, args=args, train_dataset=batches, data_collator=lambda items: items[0],
        optimizers=(optimizer, schedule),
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    with pinned_threads():
        trainer.train()
    found = [(row["loss"], row["learning_rate"]) for row in trainer.state.log_history if "loss" in row]
    np.testing.assert_allclose(log[["loss", "learning_rate"]], found, rtol=1e-5, atol=1e-9)
    for name, weight in theirs.named_parameters():
        torch.testing.assert_close(ours.get_parameter(name), weight, rtol=1e-5, atol=1e-5)


def test_a_small_budget_cuts_a_step_and_loses_no_example(model, examples, monkeypatch):
    plain, parts = training.token_losses, []

    def spy(model, batch):
        parts.append([id(example) for example in batch])
        return plain(model, batch)

    monkeypatch.setattr(training, "token_losses", spy)
    training.add_gradient(model, examples[:8], 40)
    assert len(parts) > 1
    assert sorted(one for part in parts for one in part) == sorted(id(example) for example in examples[:8])


@pytest.mark.parametrize("stop", [2, 7])
def test_stopped_and_resumed_equals_uninterrupted_to_the_bit_with_dropout(tmp_path, stop):
    whole = dropping_lm()
    expected = train(whole, random_examples(), steps=8)

    def kill(done):
        if done == stop:
            raise Killed

    settings = {"steps": 8, "checkpoint_steps": 3}
    with pytest.raises(Killed):
        train(dropping_lm(), random_examples(), tmp_path, kill, **settings)
    torch.manual_seed(99)
    again, steps = dropping_lm(), []
    log = train(again, random_examples(), tmp_path, steps.append, **settings)
    assert steps[0] == stop - stop % 3 + 1
    assert log.equals(expected)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in whole.state_dict().items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step00000006", "step00000008"]


def test_dropout_follows_the_seed_alone_and_leaves_the_global_generator(examples):
    logs = []
    for seed in (1, 2):
        model = dropping_lm()
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        logs.append(train(model, random_examples()))
        assert torch.equal(torch.get_rng_state(), before)
        assert not model.training
    assert logs[0].equals(logs[1])


def test_without_a_folder_nothing_is_written(model, examples, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(model, examples, checkpoint_steps=1)
    assert list(Path(tmp_path).iterdir()) == []


def test_a_checkpoint_of_other_weights_is_refused(tmp_path):
    train(dropping_lm(), random_examples(), tmp_path, steps=4, checkpoint_steps=1)
    frozen = dropping_lm()
    frozen.get_output_embeddings().requires_grad_(False)
    with pytest.raises(ValueError, match="step 4 holds other weights than this training changes"):
        train(frozen, random_examples(), tmp_path, steps=4, checkpoint_steps=1)
