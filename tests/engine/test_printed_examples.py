import json
import re
from pathlib import Path

import pytest
from preference_files import preference_rows, write_base
from transformers import AutoModelForSequenceClassification

from more_repro.engine import MoreConfig
from more_repro.engine.weighting import weighting_names

ROOT = Path(__file__).parents[2]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def example(name: str) -> str:
    (found,) = [code for code in EXAMPLES if name in code]
    return found


def test_the_trainers_example_runs_as_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_base(tmp_path / "my-base")
    for seed, name in enumerate(("helpful", "harmless", "honest")):
        for split, n in (("train", 20), ("test", 5)):
            lines = [json.dumps(row) for row in preference_rows(n, seed)]
            (tmp_path / f"{name}.{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    code = example("MoreTrainer(")
    assert len(code.splitlines()) <= 15
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
    said = capsys.readouterr().out
    assert "eval_honest_accuracy" in said
    assert "lambda/honest" in said
    assert AutoModelForSequenceClassification.from_pretrained("my-reward-model").config.num_labels == 1


def test_the_example_of_ones_own_loop_runs_as_printed():
    names: dict = {}
    exec(compile(example("import more\n"), "README.md", "exec"), names)
    assert float(names["lambdas"].sum()) == pytest.approx(1)
    assert names["z"].grad.abs().sum() > 0


def test_every_weighting_and_setting_that_the_page_names_exists():
    page = (ROOT / "docs" / "engine.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith("| `weighting`")]
    assert set(re.findall(r"`(\w+)`", line)) - {"weighting", "weights"} == set(weighting_names())
    settings = set(MoreConfig.__dataclass_fields__)
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", page, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)} - {"MoreConfig"}
    assert len(named) > 10
    assert named <= settings
