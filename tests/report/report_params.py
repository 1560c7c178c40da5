"""Params of a study that looks like none of ours: other names, one base, one seed."""

from pathlib import Path

from more_repro.params import Params, load_params

SMALL = Path(__file__).parents[2] / "params" / "small.yaml"
SOURCES = ("helpful", "harmless", "oasst1", "webgpt", "summarize")
ODD_SOURCES = ("tickets", "chats", "a" * 60, "s4", "s5", "s6", "s7")


def odd_params() -> Params:
    known = load_params(SMALL).model_dump()
    source, base = known["sources"]["helpful"], known["bases"]["tiny"]
    known["sources"] = {name: source | {"reader": "trl", "train": "t.jsonl", "test": "e.jsonl"} for name in ODD_SOURCES}
    known["bases"] = {"only": base}
    known["regimes"] = {"mine": {"learning_rate": 1e-3, "unique_pairs": {}}}
    known["rm"]["sweep"] = {"bases": (), "schemes": (), "counts": ()}
    known["align"] = known["align"] | {"policy": "only", "sources": ODD_SOURCES[:1]}
    known["judge"] = known["judge"] | {"criteria": {}}
    return Params.model_validate(
        known | {"seeds": (0,), "report": known["report"] | {"title": "Mine", "regime": "mine"}}
    )
