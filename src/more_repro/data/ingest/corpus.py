"""The texts that a base is pretrained on."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from more_repro.data.ingest.shingles import Hashes
from more_repro.params import Params
from more_repro.records import prompt_from_json
from more_repro.rendering import render_text
from more_repro.stats.random import stream


def corpus_texts(params: Params, trained: Sequence[pd.DataFrame]) -> list[str]:
    """At most data.corpus_texts transcripts: the world's own corpus, or what the training pairs say, sampled.

    trained: the table `pairs` of each source's training split. A text that stands twice counts once.
    """
    data = params.data
    rng = stream(data.seed, "corpus")
    if all(source.reader == "embedded" for source in params.sources.values()):
        from more_repro.world.grammar import make_corpus  # a study of other data does not depend on the world

        return [render_text(prompt, text) for prompt, text in make_corpus(data.corpus_texts, data.drift, rng)]
    # Two numbers for each pair, of its chosen and of its rejected text; only those that are drawn become texts.
    _, firsts = np.unique(np.concatenate([_text_hashes(frame) for frame in trained]), return_index=True)
    drawn = np.sort(firsts)[rng.permutation(len(firsts))[: data.corpus_texts]]
    ends = np.cumsum([2 * len(frame) for frame in trained])
    texts = []
    for number in drawn:
        source = int(np.searchsorted(ends, number, side="right"))
        row, side = divmod(int(number - ends[source]) + 2 * len(trained[source]), 2)
        pair = trained[source].iloc[row]
        texts.append(render_text(prompt_from_json(pair["prompt"]), pair["rejected" if side else "chosen"]))
    return texts


def _text_hashes(pairs: pd.DataFrame) -> Hashes:
    """(2n,) 64-bit hashes of the chosen and rejected transcript of each pair, in turns."""
    columns = {name: pd.util.hash_array(pairs[name].to_numpy(dtype=object)) for name in ("chosen", "rejected")}
    prompts = np.array([int(prompt_id, 16) for prompt_id in pairs["prompt_id"]], dtype=np.uint64)
    mixed = [(prompts ^ (prompts >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15) + side for side in columns.values()]
    return np.stack(mixed, axis=1).ravel()
