"""The engine stands on torch, transformers and accelerate: it trains where the study's libraries may not be used."""

import subprocess
import sys
import textwrap

import pytest

# What the study uses and the engine must not. transformers itself looks for scikit-learn, scipy, pandas and peft.
REFUSED = (
    "pandas", "pyarrow", "pydantic", "yaml", "datasets", "dvc", "papermill", "peft", "sklearn", "scipy", "statsmodels",
    "matplotlib", "seaborn", "torchmetrics",
)  # fmt: skip

PREAMBLE = f"""
    import sys
    REFUSED = {REFUSED!r}

    class Guard:
        '''Refuses an import that a module of ours makes; a library below may look for what it likes.'''

        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in REFUSED and self._asked_by_us():
                raise ImportError(f"the engine must not need {{name}}")
            return None

        def _asked_by_us(self):
            frame = sys._getframe(1)
            while frame is not None:
                asking = frame.f_globals.get("__name__", "")
                ours = isinstance(frame.f_locals.get("self"), Guard)
                if not ours and not asking.startswith(("importlib", "_frozen_importlib")):
                    return asking.startswith("more_repro")
                frame = frame.f_back
            return False

    sys.meta_path.insert(0, Guard())
"""

TRAIN = """
    import importlib, pkgutil
    import torch
    from transformers import AutoModelForSequenceClassification, GPTNeoXConfig
    import more_repro.engine

    for module in pkgutil.walk_packages(more_repro.engine.__path__, "more_repro.engine."):
        importlib.import_module(module.name)

    from more_repro.engine.batching.token_pairs import TokenSequences, starts_of
    from more_repro.engine.head_gradients import StepRule
    from more_repro.lm.optimizer import make_optimizer
    from more_repro.engine.step import step_gradients
    from more_repro.engine.weighting import WeightingSpec, make_weighting

    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = GPTNeoXConfig(
        vocab_size=50, hidden_size=16, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, pad_token_id=0, num_labels=1,
    )
    model = AutoModelForSequenceClassification.from_config(config).eval()
    lengths = torch.randint(4, 20, (40,))
    flat = torch.randint(2, 50, (int(lengths.sum()),), dtype=torch.int32)
    sequences = TokenSequences(flat, starts_of(lengths), lengths)
    rule = StepRule(make_weighting(WeightingSpec("more"), 3, [4, 4, 4], 0))
    optimizer = make_optimizer(model, 0.0)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        outcome = step_gradients(model, sequences, torch.arange(24).reshape(2, 3, 4), rule)
        optimizer.step()
        print(float(outcome.losses.mean()), float(outcome.lambdas.sum()))
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    text = textwrap.dedent(PREAMBLE) + textwrap.dedent(script)
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)


@pytest.mark.slow
def test_every_module_imports_and_two_steps_of_more_train_without_the_studys_libraries():
    done = run(TRAIN)
    assert done.returncode == 0, done.stderr
    (first, total), (second, _) = (map(float, line.split()) for line in done.stdout.strip().splitlines())
    assert second < first
    assert total == pytest.approx(1)


@pytest.mark.parametrize(("name", "library"), [("tables", "pandas"), ("params", "pydantic")])
def test_the_guard_refuses_the_studys_own_modules(name, library):
    done = run(f"import more_repro.{name}")
    assert done.returncode != 0
    assert f"the engine must not need {library}" in done.stderr


def test_the_guard_refuses_the_studys_libraries_to_our_modules_alone():
    done = run("import pandas; print('theirs')\nexec('import scipy', {'__name__': 'more_repro.engine.made_up'})")
    assert done.returncode != 0
    assert done.stdout.strip() == "theirs"
    assert "the engine must not need scipy" in done.stderr
