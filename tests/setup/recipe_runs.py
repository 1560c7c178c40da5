"""Runs each recipe inside a copy of the tree and prints what came of it: python recipe_runs.py, in the copy's root."""

import json
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from judged_responses import table_of
from preference_files import preference_rows, write_base
from synthetic_study import study as made_up_tables
from transformers import AutoTokenizer

import more_repro
from more_repro.alignment.judging.judging import judge
from more_repro.data.reading.read_source import read_source
from more_repro.engine import MoreConfig, MoreTrainer
from more_repro.engine.objective import PairLoss
from more_repro.lm import bases
from more_repro.nb.pipeline.inputs import write_judge
from more_repro.params import Params, Scheme, load_params
from more_repro.paths import Paths, stage_names
from more_repro.report import catalogue, html, style
from more_repro.report.page import page
from more_repro.report.page.alignment_notes import alignment_notes
from more_repro.report.page.tables_section import tables_section
from more_repro.report.run_tables import Study


def reader(params: Params) -> dict[str, Any]:
    """Read a small file by the reader's name, and by the form of its rows."""
    rows = [
        {"question": "why?", "answers": ["so", "no"], "votes": [1, 3]},
        {"question": "how?", "answers": ["a", "b"], "votes": [2, 2]},
    ]
    folder = Path("forum")
    folder.mkdir()
    (folder / "forum.train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source, data = params.sources["forum"], params.data.model_copy(update={"folder": str(folder)})
    found, (facts,) = read_source("forum", source, data)
    detected, _ = read_source("forum", source.model_copy(update={"reader": "auto"}), data)
    pairs = [(pair.chosen, pair.rejected, pair.score_margin) for pair in found["train"].pairs]
    return {
        "pairs": pairs, "dropped": found["train"].dropped, "format": facts.format,
        "detected": detected["train"].pairs == found["train"].pairs,
    }  # fmt: skip


def _trained(scheme: Scheme, folder: str) -> list[dict[str, float]]:
    """The log of a few steps of a tiny reward model on three sources, by a scheme of the params."""
    base = write_base(Path(folder) / "base")
    args = MoreConfig(
        Path(folder) / "model", weighting=scheme.weighting, losses=scheme.losses, max_steps=3, per_source_batch_size=4,
        max_length=64, logging_steps=1, use_cpu=True,
    )  # fmt: skip
    rows = {f"source{seed}": preference_rows(12, seed) for seed in range(3)}
    return MoreTrainer(str(base), args, rows, AutoTokenizer.from_pretrained(base)).train().log_history


def weighting(params: Params) -> dict[str, Any]:
    log = _trained(params.schemes["hard_first"], "weighting")
    losses, lambdas = ([[row[f"{key}/source{n}"] for n in range(3)] for row in log] for key in ("loss", "lambda"))
    return {"shares": [[loss / sum(row) for loss in row] for row in losses], "lambdas": lambdas}


def loss(params: Params) -> dict[str, Any]:
    """The term is in the loss of a training, and its derivative is that of autograd."""
    scheme = params.schemes["small_margins"]
    both = {"with": scheme, "without": params.schemes["multitask"]}
    first = [_trained(one, name)[0]["loss"] for name, one in both.items()]
    rewards = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    made = PairLoss(scheme.losses)
    made.losses(made.totals(rewards)).sum().backward()
    found = made.reward_gradients(rewards.detach(), made.totals(rewards.detach()))
    return {"first_loss": first, "error": float((found - rewards.grad).abs().max())}


def judge_(params: Params) -> dict[str, Any]:
    """Judge a few responses, name the judge for the pipeline, and say in the report who judged."""
    responses = table_of({("more", 0): ["one", "one two"], "sft": ["one two three"] * 2, "untuned": ["one two"] * 2})
    judged = judge(params, Paths(params.profile), responses, lambda rows: rows["missing"])
    mine = judged.verdicts[judged.verdicts["policy"] == "more0"]
    tables = {"judge": judged.judge, "judge_statistics": judged.statistics}
    return {
        "verdicts": sorted(zip(mine["opponent"], mine["prompt_id"], mine["verdict"], strict=True)),
        "identity": write_judge(params, Paths(params.profile)),
        "note": alignment_notes(Study(params, tables))[0],
    }


def base(params: Params) -> dict[str, Any]:
    """Pretrain the new base, and count the stages that it brings."""
    texts = [" ".join(row.values()) for row in preference_rows(40, 0)]
    log = bases.make_base("mini", params.bases["mini"], texts, Path("mini"), seed=0, max_length=32)
    new = [stage for stage in stage_names(params) if "mini" in stage]
    return {"steps": len(log), "falls": bool(log["loss"].iloc[-1] < log["loss"].iloc[0]), "stages": new}


def figure(params: Params) -> dict[str, Any]:
    """Draw the figure of an invented study, and put it on the page at its place."""
    made = Study(params, made_up_tables())
    (entry,) = [entry for entry in catalogue.figures() if entry.name == "kept"]
    svg = style.svg_bytes(entry.draw(made, made.regime))
    picture = html.Picture(entry.name, entry.title, entry.caption, entry.alt, 100, 100)
    text = page.build(made, {}, {entry.name: picture}, [], [], [])
    names = [one.name for one in catalogue.figures_of("disagreement")]
    return {"svg": len(svg), "rows": len(entry.rows(made, made.regime)), "names": names, "shown": entry.alt in text}


def table(params: Params) -> dict[str, Any]:
    """Render the table of an invented study."""
    made = Study(params, made_up_tables())
    (entry,) = [entry for entry in catalogue.tables() if entry.name == "last_loss"]
    rows: pd.DataFrame = entry.rows(made)
    text = tables_section(made, {})
    return {"rows": len(rows), "title": entry.title in text, "link": "tables/last_loss.csv" in text}


RUNS: dict[str, Callable[[Params], dict[str, Any]]] = {
    "reader": reader, "weighting": weighting, "loss": loss, "judge": judge_, "base": base, "figure": figure,
    "table": table,
}  # fmt: skip


def main() -> None:
    params = load_params()
    said: dict[str, Any] = {"package": more_repro.__file__}
    for thing, run in RUNS.items():
        try:
            said[thing] = run(params)
        except Exception:
            said[thing] = {"error": traceback.format_exc()}
    Path("recipe_runs.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main()
