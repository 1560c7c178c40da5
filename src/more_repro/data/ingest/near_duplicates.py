"""Near-duplicates between test and training prompts: counted and shown, never dropped.

A test prompt is a near-duplicate where at least half of its different runs of eight words, boilerplate left out, stand
in one training prompt. Words are letters and digits in lower case, of all messages in their order, so a training
dialogue that goes on from a test dialogue counts, and is told apart as `same dialogue`. A prompt of fewer than eight
words is one run, and matches a prompt of the same words alone; a prompt without words has no run and counts as none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from more_repro.data.ingest.shingles import Hashes, Runs
from more_repro.data.sources.pair_collector import shorten
from more_repro.records import Message, prompt_from_json
from more_repro.schemes import ALL
from more_repro.stats.clustered import clustered_share
from more_repro.stats.intervals import Codes
from more_repro.tables import SCHEMAS, check

LEAST_SHARE = 0.5
# A run that more training prompts of a source hold is boilerplate (a system prompt, a form): it is left out of the
# share. Were it counted, every two prompts of a long form would be near-duplicates; and it would lead to all of them.
COMMON_RUN = 1000
MOST_EXAMPLES = 3  # of each tested source


@dataclass(frozen=True, slots=True)
class Matches:
    """The best training prompt of one source for each test prompt.

    shared: share of the test prompt's runs, boilerplate left out, that stand in it (n,); 0 where it cannot reach
    LEAST_SHARE. best: its JSON, at the places of near-duplicates alone.
    """

    shared: NDArray[np.float64]
    best: dict[int, str]

    def part(self, start: int, end: int) -> "Matches":
        """The matches of the test prompts from `start` to before `end`."""
        inside = {number - start: text for number, text in self.best.items() if start <= number < end}
        return Matches(self.shared[start:end], inside)


def distinct_prompts(pairs: pd.DataFrame) -> pd.Series:
    """The different prompts of a table `pairs` as JSON, in the order of their first pair."""
    return pairs.drop_duplicates("prompt_id")["prompt"].reset_index(drop=True)


def find(test: pd.Series, train: pd.Series) -> Matches:
    """Look each test prompt up among the training prompts of one source; both are different prompts as JSON.

    Exact up to 64-bit hashes of runs.
    """
    tested = Runs(test)
    known, places = np.unique(tested.hashes, return_inverse=True)
    index = _Index(Runs(train, known), known)
    rare = index.sizes[places] <= COMMON_RUN
    owners, places = tested.prompts[rare], places[rare]
    bounds = np.searchsorted(owners, np.arange(len(test) + 1))
    present = np.bincount(owners[index.sizes[places] > 0], minlength=len(test))
    shared, best = np.zeros(len(test)), {}
    # Most prompts end here: a share cannot reach what the runs that stand anywhere in training do not.
    for number in np.flatnonzero((present > 0) & (present >= LEAST_SHARE * np.diff(bounds))):
        runs = places[bounds[number] : bounds[number + 1]]
        row, count = index.best(runs)
        shared[number] = count / len(runs)
        if shared[number] >= LEAST_SHARE:
            best[int(number)] = str(train.iloc[row])
    return Matches(shared, best)


def summarize(
    tests: Mapping[str, pd.Series], matches: Mapping[str, Matches], confidence: float
) -> dict[str, pd.DataFrame]:
    """Tables `near_duplicates` and `near_duplicate_examples`.

    tests: different prompts of each tested source. matches: of each training source with the tests of all sources, one
    source after the other. The share is of test prompts, its interval clustered by the first message, because stages
    of one dialogue are not independent. Row `all`: near-duplicates of a training prompt of any source.
    """
    lines, shown, start = [], [], 0
    for tested_on, test in tests.items():
        own = {name: match.part(start, start + len(test)) for name, match in matches.items()}
        start += len(test)
        messages = [prompt_from_json(text) for text in test]
        openings = pd.factorize(pd.Series([prompt[0].content for prompt in messages], dtype="str"))[0]
        same = {name: _same_dialogue(messages, match) for name, match in own.items()}
        near = {name: set(match.best) for name, match in own.items()}
        same[ALL], near[ALL] = set().union(*same.values()), set().union(*near.values())
        for name, numbers in near.items():
            flags = np.bincount(list(numbers), minlength=len(test)).astype(np.float64)
            share = clustered_share(flags, openings, confidence)
            lines.append((tested_on, name, len(numbers), len(same[name]), *share.values(), len(test)))
        shown += [(tested_on, *line) for line in _examples(test, own, same)]
    examples = pd.DataFrame(shown, columns=list(SCHEMAS["near_duplicate_examples"]))
    return {
        "near_duplicates": check(pd.DataFrame(lines, columns=list(SCHEMAS["near_duplicates"])), "near_duplicates"),
        "near_duplicate_examples": check(examples, "near_duplicate_examples"),
    }


class _Index:
    """Which training prompts hold each known run."""

    def __init__(self, runs: Runs, known: Hashes) -> None:
        numbers = np.searchsorted(known, runs.hashes)
        order = np.argsort(numbers, kind="stable")
        self._rows = runs.prompts[order]
        self._bounds = np.searchsorted(numbers[order], np.arange(len(known) + 1))
        self.sizes = np.diff(self._bounds)

    def best(self, runs: Codes) -> tuple[int, int]:
        """(row, number of these runs) of the training prompt that holds most of them; one of them must be held."""
        holders = [self._rows[self._bounds[run] : self._bounds[run + 1]] for run in runs]
        rows, counts = np.unique(np.concatenate(holders), return_counts=True)
        place = int(np.argmax(counts))
        return int(rows[place]), int(counts[place])


def _same_dialogue(messages: list[tuple[Message, ...]], matches: Matches) -> set[int]:
    """Near-duplicates of which one prompt is the beginning of the other."""
    found = set()
    for number, text in matches.best.items():
        tested, trained = messages[number], prompt_from_json(text)
        shorter = min(len(tested), len(trained))
        if tested[:shorter] == trained[:shorter]:
            found.add(number)
    return found


def _examples(
    test: pd.Series, found: Mapping[str, Matches], same: Mapping[str, set[int]]
) -> Iterator[tuple[str, float, bool, str, str]]:
    """Of each tested source the first near-duplicates, those of other dialogues first."""
    everything = [(number in same[name], number, name) for name, match in found.items() for number in match.best]
    for in_dialogue, number, name in sorted(everything)[:MOST_EXAMPLES]:
        match = found[name]
        tested, trained = (shorten(prompt_from_json(text)) for text in (str(test.iloc[number]), match.best[number]))
        yield name, float(match.shared[number]), in_dialogue, tested, trained
