"""Encoded pairs in the scratch folder: a base's tokenizer reads each pairs table once for all stages and workers."""

import functools
import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from more_repro import tables
from more_repro.engine.batching.token_pairs import EncodedPairs, TokenSequences, encode_pairs, starts_of
from more_repro.lm.bases import load_tokenizer
from more_repro.records import PreferencePair, prompt_from_json
from more_repro.reward.jobs import EncodeJob, encoded_path
from more_repro.store.atomic import replacing


def encoded_pairs(job: EncodeJob) -> EncodedPairs:
    """The encoded pairs of a table, from scratch if they are there and whole, else made and kept there."""
    path = ensure_encoded(job)
    try:
        return _load(path)
    except (SafetensorError, KeyError, ValueError, OSError):
        path.unlink(missing_ok=True)  # a file damaged on disk is made again
        return _load(ensure_encoded(job))


def ensure_encoded(job: EncodeJob) -> Path:
    """Make the encoded file unless it exists. Raises tables.TableError where the pairs table is missing."""
    path = encoded_path(job)
    if not path.exists():
        _save(encode_pairs(read_pairs(job.pairs), load_tokenizer(job.base), job.max_length), path)
    return path


def read_pairs(path: Path) -> list[PreferencePair]:
    """The pairs of a table, in its order. Raises tables.TableError naming the file."""
    table = tables.read(path, "pairs")
    columns = (table[name].tolist() for name in ("source", "prompt", "chosen", "rejected"))
    read_prompt = functools.lru_cache(maxsize=None)(prompt_from_json)
    return [PreferencePair(source, read_prompt(prompt), a, b) for source, prompt, a, b in zip(*columns, strict=True)]


def _save(encoded: EncodedPairs, path: Path) -> None:
    tensors = {
        "flat": encoded.sequences.flat,
        "lengths": encoded.sequences.lengths,
        "chosen": encoded.chosen,
        "rejected": encoded.rejected,
        "truncated": encoded.truncated,
    }
    with replacing(path) as part:
        save_file(tensors, part, metadata={"pair_ids": json.dumps(encoded.pair_ids)})


def _load(path: Path) -> EncodedPairs:
    with safe_open(path, framework="pt") as file:
        pair_ids = tuple(json.loads(file.metadata()["pair_ids"]))
        # Copies: tensors of an open file are its pages, and would change with the file.
        read: dict[str, torch.Tensor] = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    sequences = TokenSequences(read["flat"], starts_of(read["lengths"]), read["lengths"])
    return EncodedPairs(pair_ids, sequences, read["chosen"], read["rejected"], read["truncated"])
