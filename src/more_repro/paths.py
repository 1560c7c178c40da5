"""The only maker of artifact paths. Everything the pipeline makes lies under data/<profile>/."""

from dataclasses import dataclass
from pathlib import Path

from more_repro.params import Params


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths of one profile, relative to the project's root, from where every stage runs."""

    profile: str
    root: Path = Path()

    @property
    def data(self) -> Path:
        return self.root / "data" / self.profile

    @property
    def scratch(self) -> Path:
        """Checkpoints that survive a kill; not known to DVC, which deletes outputs before it runs a stage."""
        return self.root / ".scratch" / self.profile

    @property
    def corpus(self) -> Path:
        return self.data / "corpus.parquet"

    def pairs(self, source: str, split: str) -> Path:
        return self.data / "pairs" / source / f"{split}.parquet"

    def mixture(self, regime: str, seed: int) -> Path:
        return self.data / "mixtures" / regime / f"seed{seed}.parquet"

    def base(self, base: str) -> Path:
        return self.data / "bases" / base

    @property
    def policy(self) -> Path:
        """The policy that is sampled and aligned: a folder as a base's."""
        return self.data / "policy"

    def reward_models(self, base: str, scheme: str) -> Path:
        """Folder of every model of a base and scheme: <regime>/<trained_on>/seed<seed>."""
        return self.data / "reward_models" / base / scheme

    def reward_model(self, base: str, regime: str, scheme: str, trained_on: str, seed: int) -> Path:
        return self.reward_models(base, scheme) / regime / trained_on / f"seed{seed}"

    def training_log(self, base: str, scheme: str) -> Path:
        return self.data / "training" / base / f"{scheme}.parquet"

    def scores(self, base: str) -> Path:
        return self.data / "scores" / f"{base}.parquet"

    def table(self, stage: str, name: str) -> Path:
        """A table of a stage: its folder is the stage's one output."""
        return self.data / "tables" / stage / f"{name}.parquet"

    def run(self, stage: str) -> Path:
        return self.data / "runs" / f"{stage}.json"

    def notebook(self, stage: str) -> Path:
        return self.data / "notebooks" / f"{stage}.ipynb"

    def html(self, stage: str) -> Path:
        return self.data / "html" / f"{stage}.html"

    @property
    def pruned(self) -> Path:
        """Mark that the folders hold the grid of the params and no more."""
        return self.data / "pruned.txt"

    @property
    def inputs(self) -> Path:
        """Digests of the local files that the params name."""
        return self.data / "inputs.json"

    def settings(self, stage: str) -> Path:
        """What a stage reads of the params."""
        return self.data / "settings" / f"{stage}.json"

    @property
    def judge(self) -> Path:
        """What names the judge beside the params: the endpoint's model and address, or the digest of replies."""
        return self.data / "judge.json"

    @property
    def report(self) -> Path:
        return self.data / "report"


def stage_names(params: Params) -> tuple[str, ...]:
    """Every notebook stage that the params ask for, in the pipeline's order; never read from the disk."""
    bases, schemes = params.bases, params.schemes
    return (
        "ingest",
        "data_mixing",
        "diversity_statistics",
        *(f"base-{base}" for base in bases),
        *(f"reward_model_training-{base}-{scheme}" for base in bases for scheme in schemes),
        *(f"scoring-{base}" for base in bases),
        "calibration",
        "sampling",
        "rjs_alignment",
        "judging",
        "regression",
        "report",
    )
