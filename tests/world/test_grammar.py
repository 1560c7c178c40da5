import numpy as np
import pytest

from more_repro.records import SPLITS
from more_repro.world import grammar, oracle


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def pairs():
    return {source: grammar.make_pairs(source, 2000, "train", 1.0, rng(7)) for source in oracle.SOURCES}


def test_same_seed_gives_the_same_pairs_and_another_seed_others():
    first, again, other = (grammar.make_pairs("helpful", 50, "train", 1.0, rng(seed)) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert grammar.make_corpus(30, 1.0, rng(3)) == grammar.make_corpus(30, 1.0, rng(3))


@pytest.mark.parametrize("source", oracle.SOURCES)
def test_no_prompt_stands_in_two_splits(source):
    prompts = [set(grammar.make_prompts(source, 300, split, rng(1))) for split in SPLITS]
    assert [len(group) for group in prompts] == [300, 300, 300]
    assert not prompts[0] & prompts[1] | prompts[0] & prompts[2] | prompts[1] & prompts[2]


def test_the_corpus_uses_train_prompts_only():
    for prompt, _ in grammar.make_corpus(100, 1.0, rng(2)):
        assert grammar.split_of(prompt[0].content) == "train"


def test_there_are_thousands_of_prompts(pairs):
    assert min(len({pair.prompt for pair in group}) for group in pairs.values()) > 1500


def test_pairs_are_different_and_carry_their_truth(pairs):
    for source, group in pairs.items():
        assert len({pair.pair_id for pair in group}) == len(group) == 2000
        assert len({(p.prompt, frozenset((p.chosen, p.rejected))) for p in group}) == len(group)
        for pair in group[:200]:
            truth = oracle.true_preference(source, pair.prompt, pair.chosen, pair.rejected, 1.0)
            margin = oracle.shared_utility(pair.prompt, pair.chosen) - oracle.shared_utility(pair.prompt, pair.rejected)
            assert pair.true_preference == pytest.approx(truth)
            assert pair.shared_margin == margin


def test_the_favoured_response_wins_as_often_as_the_truth_says(pairs):
    for group in pairs.values():
        truth = np.array([pair.true_preference for pair in group])
        favoured = np.maximum(truth, 1 - truth)
        for low, high in ((0.5, 0.65), (0.65, 0.8), (0.8, 1.01)):
            part = (favoured >= low) & (favoured < high)
            wins = (truth[part] > 0.5).sum() + 0.5 * (truth[part] == 0.5).sum()
            sigma = np.sqrt((favoured[part] * (1 - favoured[part])).sum())
            assert abs(wins - favoured[part].sum()) < 4 * sigma


def test_sequences_stay_short_enough_for_cheap_training(pairs):
    words = [
        len(f"{p.prompt[0].content} {text}".split())
        for g in pairs.values()
        for p in g
        for text in (p.chosen, p.rejected)
    ]
    assert 16 <= np.mean(words) <= 20
    assert max(words) <= 32
    longest = max(len(text.split()) for g in pairs.values() for p in g for text in (p.chosen, p.rejected))
    assert longest <= 23


def test_best_possible_accuracy_is_the_designed_one(pairs):
    """Bayes accuracy with the source known, drift 1: about .776 over the five sources."""
    favoured = [max(p.true_preference, 1 - p.true_preference) for group in pairs.values() for p in group]
    assert np.mean(favoured) == pytest.approx(0.776, abs=0.01)


def test_harmful_topics_are_as_common_as_each_source_asks():
    for source, share in (("harmless", 0.7), ("helpful", 0.05), ("webgpt", 0.0)):
        generator = rng(5)
        prompts = [grammar.draw_prompt(source, "train", generator) for _ in range(1500)]
        harmful = np.mean([oracle.topic_of(prompt) in grammar._HARMFUL for prompt in prompts])
        assert harmful == pytest.approx(share, abs=0.06)


def test_asking_for_more_prompts_than_exist_says_so():
    with pytest.raises(ValueError, match="asked for 100000 different prompts, found only"):
        grammar.make_prompts("summarize", 100_000, "validation", rng())


def test_an_unknown_source_is_named():
    with pytest.raises(ValueError, match="'reddit'"):
        grammar.make_pairs("reddit", 1, "train", 1.0, rng())
