"""The policy of the study: a base as it is, or fine-tuned on instructions as Alpaca was."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from more_repro import progress
from more_repro.alignment.policies import fine_tuning as tuning
from more_repro.alignment.policies import texts
from more_repro.alignment.policies.fine_tuning import FineTuning, fine_tune
from more_repro.alignment.policies.instruction_data import read_instructions
from more_repro.alignment.policies.rjs import fine_tuning
from more_repro.alignment.policies.texts import Text, texts_digest, to_examples
from more_repro.lm import base_files, bases
from more_repro.lm.sequence_classifier import quiet_loading
from more_repro.params import Params
from more_repro.paths import Paths
from more_repro.schemes import NONE
from more_repro.store.checkpoint import drop_checkpoints
from more_repro.store.code_key import CHANGES_NO_NUMBER, code_key
from more_repro.store.digests import digest_of
from more_repro.store.folder import copy_out, is_whole, write_folder
from more_repro.workers import run_jobs

_FACTS = "fine_tuning.json"


@dataclass(frozen=True, slots=True)
class InstructionJob:
    """name: of the policy's base. kept: where the finished policy lies, its name the digest of all it depends on."""

    name: str
    base: Path
    texts: tuple[Text, ...]
    sft: FineTuning
    max_length: int
    kept: Path


def make_policy(params: Params, paths: Paths) -> pd.DataFrame:
    """Make paths.policy, and return one row that says what it is.

    With align.instructions null it points at the base's own place. Else the base is fine-tuned on every row that has
    an output, and saved whole: a run that was killed goes on from its newest checkpoint, and a policy that was finished
    with equal settings, data, base and code is taken from scratch.
    Columns base, instructions, n_rows, n_empty, n_cut (lost their left end), n_steps, first_loss and last_loss (nats
    per response token of the first and last batch, NaN without fine-tuning).
    Raises InputError at a row that breaks the format, FloatingPointError where the loss is not finite.
    """
    name, taught = params.align.policy, params.align.instructions
    base = paths.base(name)
    if taught is None:
        _fresh(paths.policy)
        location, revision = base_files.origin(base)
        n = base_files.n_parameters(base)
        base_files.write_pointer(paths.policy, "hub", location, revision, base_files.rendering(base), n_parameters=n)
        facts = {"n_rows": 0, "n_empty": 0, "n_cut": 0, "n_steps": 0, "first_loss": np.nan, "last_loss": np.nan}
        return pd.DataFrame([{"base": name, "instructions": NONE, **facts}])
    rows = read_instructions(taught, Path(params.data.folder))
    progress.say(f"instructions: {rows.n_rows} rows, {rows.n_empty} without an output or an instruction left out")
    sft = fine_tuning(params, taught.sft)
    key = _digest(base, rows.texts, sft, params.rm.max_length)
    job = InstructionJob(name, base, rows.texts, sft, params.rm.max_length, paths.scratch / "policy" / key)
    if not is_whole(job.kept, job.kept.name):
        run_jobs(tune_policy, [job], "fine-tune on instructions", ("torch", "transformers", __name__))
    copy_out(job.kept, paths.policy, leave_out=(_FACTS,))
    facts = json.loads((job.kept / _FACTS).read_text(encoding="utf-8"))
    source = f"{taught.location or params.data.folder}/{taught.train}"
    return pd.DataFrame(
        [{"base": name, "instructions": source, "n_rows": rows.n_rows, "n_empty": rows.n_empty, **facts}]
    )


def tune_policy(job: InstructionJob) -> None:
    """Fine-tune the base on the job's texts and write it to job.kept, with base.json, tokenizer and a manifest."""
    checkpoints = job.kept.with_name("checkpoints")
    tokenizer = bases.load_tokenizer(job.base)
    whole, examples = to_examples(tokenizer, job.texts), to_examples(tokenizer, job.texts, job.max_length)
    model = bases.load_causal_lm(job.base)
    log = fine_tune(
        model, examples, job.sft, name=f"{job.name} on instructions", checkpoints=checkpoints, fingerprint=job.kept.name
    )
    facts = {
        "n_cut": sum(len(example.ids) > job.max_length for example in whole),
        "n_steps": len(log),
        "first_loss": float(log["loss"].iloc[0]),
        "last_loss": float(log["loss"].iloc[-1]),
    }

    def fill(part: Path) -> None:
        model.cpu()
        model.config.use_cache = True
        with quiet_loading():
            model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        n, form = base_files.n_parameters(job.base), base_files.rendering(job.base)
        base_files.write_pointer(part, "local", None, None, form, n_parameters=n)
        (part / _FACTS).write_text(json.dumps(facts), encoding="utf-8")

    write_folder(job.kept, job.kept.name, fill)
    drop_checkpoints(checkpoints)


def _digest(base: Path, taught: tuple[Text, ...], sft: FineTuning, max_length: int) -> str:
    """Not the whole closure of this module: a policy of days must not be made again for an edit of sampling."""
    code = code_key(tuning.__name__, texts.__name__, without=CHANGES_NO_NUMBER)
    return digest_of(base_files.fingerprint(base), texts_digest(taught), sft.facts(), max_length, code)


def _fresh(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
