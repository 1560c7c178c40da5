"""MoreTrainer: a reward model from K sources of preference rows, in the manner of TRL's RewardTrainer."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from more_repro import progress
from more_repro.engine.at_exit import leave_at_exit
from more_repro.engine.base_model import longest_input, ready_model
from more_repro.engine.batching.preference_rows import EncodedRows, encode_rows
from more_repro.engine.batching.step_layout import StepPairs, check_split, passes, step_pairs
from more_repro.engine.batching.token_pairs import EncodedPairs, TokenSequences, join
from more_repro.engine.checkpoint import has_checkpoints
from more_repro.engine.config import MoreConfig
from more_repro.engine.distributed import Processes, wait_for_all
from more_repro.engine.fingerprint import training_fingerprint
from more_repro.engine.head_gradients import StepRule
from more_repro.engine.loop import PER_SOURCE, Loop
from more_repro.engine.model import on_device, save_reward_model, score
from more_repro.engine.weighting import make_weighting

Rows = Iterable[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class MoreState:
    """Where a training is. log_history: one dict for each logging_steps steps, means over them, and one for each
    evaluation; keys such as `lambda/helpful`, `loss/helpful`, `margin/helpful`, `head_gradient_norm/helpful`."""

    global_step: int
    max_steps: int
    log_history: list[dict[str, float]]


class MoreTrainer:
    """Trains a reward model on K sources at once; lambda weights their losses anew in every step.

    model: a Hugging Face decoder, by name or as a sequence classifier with one label. train_dataset, eval_dataset:
    rows in TRL's preference format under the name of their source, see `encode_rows`. processing_class: the tokenizer;
    it is given a padding token where its own could end a text, and the model an embedding for it if need be. Started by
    `accelerate launch` or torchrun, all processes share each step's pairs and reach the model that one process would,
    up to rounding.
    Raises ValueError that names source, row and field of data that cannot be used, or the setting.
    """

    def __init__(
        self,
        model: str | PreTrainedModel,
        args: MoreConfig,
        train_dataset: Mapping[str, Rows],
        processing_class: PreTrainedTokenizerBase,
        eval_dataset: Mapping[str, Rows] | None = None,
    ) -> None:
        self.args, self.processing_class = args, processing_class
        self.group = Processes(cpu=args.use_cpu)
        leave_at_exit(self.group)
        check_split(args.per_source_batch_size, self.group)
        self.model = ready_model(model, processing_class, args.lora, args.seed)
        train = self._encoded(train_dataset, "train_dataset")
        self._eval = None if eval_dataset is None else self._encoded(eval_dataset, "eval_dataset")
        self._sources = tuple(train)
        usable = {name: (~pairs.equal).nonzero()[:, 0] for name, pairs in train.items()}
        pairs = self._laid_out(train, usable)
        counts = [len(rows) for rows in usable.values()]
        rule = StepRule(
            make_weighting(args.weighting_spec(), len(train), counts, args.seed), args.pair_loss(), args.lambda_scope
        )
        key = training_fingerprint(args.numbers(), pairs, self.model, self.group) if self.group.rank == 0 else ""
        self._loop = Loop(
            on_device(self.model, self.group.device), rule, pairs, args.loop_settings(), name="MORE",
            checkpoints=Path(args.output_dir) / "checkpoints", fingerprint=key, group=self.group,
        )  # fmt: skip
        self._evaluations: list[dict[str, float]] = []

    @property
    def state(self) -> MoreState:
        return MoreState(self._loop.step, self._loop.pairs.n_steps, [*self._logged(), *self._evaluations])

    def train(self, resume_from_checkpoint: bool = False) -> MoreState:
        """Train to the end, with a checkpoint every save_steps steps and after the last.

        resume_from_checkpoint: go on from the newest whole checkpoint in output_dir, if there is one; the end is then
        the same to the last bit on CPU as without the stop. One of other data, settings, model, versions or code is
        not used: its folder is renamed to checkpoints.<fingerprint>.old, nothing of it is deleted, training starts
        fresh and says so. Raises FileExistsError where checkpoints would be overwritten, and
        FloatingPointError at the step whose loss or gradient is not finite.
        """
        if resume_from_checkpoint:
            self._loop.resume()
        elif has_checkpoints(self._loop.checkpoints):
            raise FileExistsError(
                f"{self._loop.checkpoints} holds an earlier run: train(resume_from_checkpoint=True) goes on from it; "
                "to start fresh, delete the folder or choose another output_dir"
            )
        self._loop.run()
        return self.state

    def evaluate(self, eval_dataset: Mapping[str, Rows] | None = None) -> dict[str, float]:
        """Accuracy (a tie is half), mean loss and number of pairs of each source: `eval_<source>_accuracy`, `_loss`,
        `_n`. eval_dataset: instead of the trainer's own. Raises ValueError where there is none, and FloatingPointError
        where a reward is not finite."""
        encoded = self._eval if eval_dataset is None else self._encoded(eval_dataset, "eval_dataset")
        if encoded is None:
            raise ValueError("evaluate needs rows: give eval_dataset here or to the trainer")
        found: dict[str, float] = {}
        for name, pairs in encoded.items():
            rewards = self._rewards(pairs)
            sides = torch.stack([rewards[pairs.chosen], rewards[pairs.rejected]])[:, None].double()
            loss, totals = self._loop.rule.loss, self._loop.rule.loss.totals(sides)
            margins = sides[0, 0] - sides[1, 0]
            if not bool(torch.isfinite(margins).all()):
                bad = int((~torch.isfinite(margins)).sum())
                raise FloatingPointError(f"{name}: {bad} of {len(margins)} pairs have a reward that is not finite")
            found[f"eval_{name}_accuracy"] = float(((margins > 0).double() + (margins == 0).double() / 2).mean())
            found[f"eval_{name}_loss"] = float(loss.losses(totals))
            found[f"eval_{name}_n"] = len(margins)
        self._evaluations.append({"step": self._loop.step, **found})
        return found

    def save_model(self, output_dir: str | Path | None = None) -> None:
        """Write a sequence-classification checkpoint with its tokenizer, adapters merged in, to output_dir (that of
        the settings). `AutoModelForSequenceClassification` and TRL's RewardTrainer load it."""
        if self.group.rank == 0:
            save_reward_model(self.model, self.processing_class, Path(output_dir or self.args.output_dir))
        wait_for_all(self.group)

    def _encoded(self, dataset: Mapping[str, Rows], where: str) -> dict[str, EncodedPairs]:
        if not isinstance(dataset, Mapping) or not dataset:
            raise ValueError(f"{where} maps names of sources to rows, found {type(dataset).__name__}")
        found, limit = {}, longest_input(self.model)
        for name, rows in dataset.items():
            encoded = encode_rows(rows, self.processing_class, self.args.max_length, f"{where}[{name!r}]")
            pairs = found[name] = encoded.pairs
            longest = int(pairs.sequences.lengths.max())
            if limit is not None and longest > limit:
                raise ValueError(
                    f"{where}[{name!r}]: a sequence has {longest} tokens, the model positions for {limit}; "
                    f"set max_length to {limit}"
                )
            if self.group.rank == 0:
                _say_read(name, encoded)
        return found

    def _laid_out(self, train: Mapping[str, EncodedPairs], usable: Mapping[str, torch.Tensor]) -> StepPairs:
        """The pairs of every step, drawn by the seed: pass after pass over each source, each in an order of its own."""
        size = self.args.per_source_batch_size
        for name, rows in usable.items():
            if not len(rows):
                raise ValueError(f"{name}: every pair is equal after truncation to {self.args.max_length} tokens")
        largest = max(len(rows) for rows in usable.values())
        steps = self.args.max_steps or math.ceil(self.args.num_train_epochs * largest / size)
        generator = torch.Generator().manual_seed(self.args.seed)
        sequences, first_rows = join([pairs.sequences for pairs in train.values()])
        chosen, rejected = [], []
        for (name, pairs), first in zip(train.items(), first_rows, strict=True):
            drawn = usable[name][passes(len(usable[name]), steps, size, generator)]
            chosen.append(pairs.chosen[drawn] + first)
            rejected.append(pairs.rejected[drawn] + first)
        return step_pairs(sequences, torch.stack(chosen, dim=1), torch.stack(rejected, dim=1))

    def _rewards(self, pairs: EncodedPairs) -> torch.Tensor:
        """Rewards of all sequences; each process scores a run of them."""
        every = pairs.sequences
        own = torch.arange(len(every)).tensor_split(self.group.size)[self.group.rank]
        rewards = torch.zeros(len(every))
        if len(own):
            part = TokenSequences(every.flat, every.starts[own], every.lengths[own])
            rewards[own] = score(self.model, part, precision=self.args.precision)
        return self.group.sum(rewards)

    def _logged(self) -> list[dict[str, float]]:
        log, rows = self._loop.log, []
        for first in range(0, self._loop.step, self.args.logging_steps):
            last = min(first + self.args.logging_steps, self._loop.step)
            means = {name: log[name][first:last].mean(dim=0).tolist() for name in PER_SOURCE}
            row = {"step": last, "learning_rate": float(log["learning_rate"][last - 1])}
            row["loss"] = float((log["lambda"] * log["loss"])[first:last].sum(dim=1).mean())
            row |= {f"{key}/{name}": x for key in means for name, x in zip(self._sources, means[key], strict=True)}
            rows.append(row)
        return rows


def _say_read(name: str, encoded: EncodedRows) -> None:
    pairs = encoded.pairs
    left_out = f"left out: {encoded.n_empty} empty, {pairs.n_equal} with equal sides"
    progress.say(f"{name}: {len(pairs.pair_ids)} pairs, {pairs.n_truncated} cut; {left_out}")
    if encoded.n_markup:
        progress.say(
            f"{name}: {encoded.n_markup} rows of text spell special tokens, which stay plain text here; if a chat "
            "template has rendered them, give lists of messages instead"
        )
