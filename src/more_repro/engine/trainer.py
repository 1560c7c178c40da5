"""MoreTrainer: a reward model from K sources of preference rows, in the manner of TRL's RewardTrainer."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from more_repro import progress
from more_repro.engine.at_exit import leave_at_exit
from more_repro.engine.base_model import longest_input, ready_model
from more_repro.engine.batching.preference_rows import encode_rows
from more_repro.engine.batching.step_layout import check_split
from more_repro.engine.batching.token_pairs import EncodedPairs, TokenSequences
from more_repro.engine.config import MoreConfig
from more_repro.engine.distributed import Group, Processes, wait_for_all
from more_repro.engine.fingerprint import training_fingerprint
from more_repro.engine.head_gradients import StepRule
from more_repro.engine.loop import Loop
from more_repro.engine.model import on_device, save_reward_model, score
from more_repro.engine.training_log import log_history
from more_repro.engine.training_plan import TrainingPlan, drawn_plan
from more_repro.engine.weighting import make_weighting
from more_repro.store.checkpoint import has_checkpoints

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
        self._take(model, args, processing_class, None)
        train = self._encoded(train_dataset, "train_dataset")
        self._eval = None if eval_dataset is None else self._encoded(eval_dataset, "eval_dataset")
        self._lay_out(drawn_plan(train, args), "MORE", None)

    @classmethod
    def from_plan(
        cls,
        model: str | PreTrainedModel,
        args: MoreConfig,
        plan: TrainingPlan,
        processing_class: PreTrainedTokenizerBase,
        *,
        name: str = "MORE",
        fingerprint: str | None = None,
        group: Group | None = None,
    ) -> "MoreTrainer":
        """A trainer of pairs that are tokens already, in steps that are laid out already: see `ordered_plan`.

        name: of the training, in what it says. fingerprint: of all that its numbers depend on, where the caller has
        one; checkpoints of another are not used. group: the processes that train together, and where; None for those
        that this one was started among. Raises ValueError where the plan was made with other settings.
        """
        size = plan.pairs.chosen.shape[2]
        if size != args.per_source_batch_size:
            raise ValueError(f"per_source_batch_size is {args.per_source_batch_size}, the plan was made with {size}")
        trainer = cls.__new__(cls)
        trainer._take(model, args, processing_class, group)
        trainer._check_length(plan.pairs.sequences, name)
        trainer._eval = None
        trainer._lay_out(plan, name, fingerprint)
        return trainer

    @property
    def state(self) -> MoreState:
        step = self._loop.step
        history = log_history(self.log, self._sources, step, self.args.logging_steps)
        return MoreState(step, self._loop.pairs.n_steps, [*history, *self._evaluations])

    @property
    def log(self) -> dict[str, torch.Tensor]:
        """Every step's numbers, see `engine.training_log.empty_log`."""
        return self._loop.log

    def train(self, resume_from_checkpoint: bool = False, after_step: Callable[[int], None] | None = None) -> MoreState:
        """Train to the end, with a checkpoint every save_steps steps and after the last.

        resume_from_checkpoint: go on from the newest whole checkpoint in output_dir, if there is one; the end is then
        the same to the last bit on CPU as without the stop. One of other data, settings, model, versions or code is
        not used: its folder is renamed to checkpoints.<fingerprint>.old, nothing of it is deleted, training starts
        fresh and says so. after_step: called with the number of steps done. Raises FileExistsError where checkpoints
        would be overwritten, and FloatingPointError at the step whose loss or gradient is not finite.
        """
        if resume_from_checkpoint:
            self._loop.resume()
        elif has_checkpoints(self.args.checkpoints):
            raise FileExistsError(
                f"{self.args.checkpoints} holds an earlier run: train(resume_from_checkpoint=True) goes on from it; "
                "to start fresh, delete the folder or choose another output_dir"
            )
        self._loop.run(after_step)
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

    def _take(
        self, model: str | PreTrainedModel, args: MoreConfig, tokenizer: PreTrainedTokenizerBase, group: Group | None
    ) -> None:
        """The settings, the processes that train, and the model made ready for this tokenizer."""
        if group is None:
            group = Processes(cpu=args.use_cpu)
            leave_at_exit(group)
        self.args, self.processing_class, self.group = args, tokenizer, group
        check_split(args.per_source_batch_size, group)
        self.model = ready_model(model, tokenizer, args.lora, args.seed)
        self._evaluations: list[dict[str, float]] = []

    def _lay_out(self, plan: TrainingPlan, name: str, fingerprint: str | None) -> None:
        """The loop over the plan's steps; without a fingerprint of the caller's, the first process makes one."""
        args, group = self.args, self.group
        self._sources = plan.sources
        weighting = make_weighting(args.weighting_spec(), len(plan.sources), plan.unique_counts, args.seed)
        rule = StepRule(weighting, args.pair_loss(), args.lambda_scope)
        if fingerprint is None:
            fingerprint = training_fingerprint(args, plan.pairs, self.model, group) if group.rank == 0 else ""
        model = on_device(self.model, group.device)
        self._loop = Loop(model, rule, plan.pairs, args, name=name, fingerprint=fingerprint, group=group)

    def _encoded(self, dataset: Mapping[str, Rows], where: str) -> dict[str, EncodedPairs]:
        if not isinstance(dataset, Mapping) or not dataset:
            raise ValueError(f"{where} maps names of sources to rows, found {type(dataset).__name__}")
        found = {}
        for name, rows in dataset.items():
            encoded = encode_rows(rows, self.processing_class, self.args.max_length, f"{where}[{name!r}]")
            found[name] = encoded.pairs
            self._check_length(encoded.pairs.sequences, f"{where}[{name!r}]")
            if self.group.rank == 0:
                progress.say(encoded.summary(name))
        return found

    def _check_length(self, sequences: TokenSequences, where: str) -> None:
        longest, limit = int(sequences.lengths.max()), longest_input(self.model)
        if limit is not None and longest > limit:
            raise ValueError(
                f"{where}: a sequence has {longest} tokens, the model positions for {limit}; set max_length to {limit}"
            )

    def _rewards(self, pairs: EncodedPairs) -> torch.Tensor:
        """Rewards of all sequences; each process scores a run of them."""
        every = pairs.sequences
        own = torch.arange(len(every)).tensor_split(self.group.size)[self.group.rank]
        rewards = torch.zeros(len(every))
        if len(own):
            part = TokenSequences(every.flat, every.starts[own], every.lengths[own])
            rewards[own] = score(self.model, part, precision=self.args.precision)
        return self.group.sum(rewards)
