import numpy as np
import pytest

from more_repro.evaluation.paper import printed_numbers
from more_repro.evaluation.paper_checks.printed_null import null_pairs


@pytest.fixture(scope="module")
def paper():
    return printed_numbers.load()


def test_table1_is_the_mean_of_tables_4_to_6(paper):
    errors = printed_numbers.tables4_6(paper).pivot_table(index="base", columns="scheme", values="ece", aggfunc="mean")
    for _, row in printed_numbers.table1(paper).iloc[1:].iterrows():
        assert row["ece"] == pytest.approx(errors.loc[row["base"], row["scheme"]], abs=6e-5)


def test_table1_accuracy_is_the_mean_of_table2(paper):
    accuracy = printed_numbers.table2(paper).set_index(["base", "scheme"])[["helpful", "harmless"]].mean(axis=1)
    for _, row in printed_numbers.table1(paper).iloc[1:].iterrows():
        assert row["accuracy"] == pytest.approx(accuracy[row["base"], row["scheme"]], abs=1.1e-4)


def test_printed_means_of_table2_that_do_not_fit_their_row(paper):
    table = printed_numbers.table2(paper)
    off = table[(table["mean"] - table["row_mean"]).abs() > 1.5e-4]
    assert list(zip(off["base"], off["scheme"], strict=True)) == [
        ("pythia-1_4b", "multitask"),
        ("pythia-2_8b", "top"),
        ("llama2-7b", "top"),
        ("llama2-13b", "top"),
        ("llama2-13b", "multitask"),
    ]


def test_sizes_and_pinned_values(paper):
    made = (printed_numbers.table1, printed_numbers.table2, printed_numbers.table3, printed_numbers.tables4_6)
    assert [len(f(paper)) for f in made] == [7, 20, 5, 18]
    assert printed_numbers.table3(paper)["train"].sum() == 214440
    assert printed_numbers.table2(paper)["ece"].sum() == pytest.approx(1.2667, abs=1e-9)
    assert printed_numbers.tables4_6(paper)["positive_count"].sum() == 3168
    duels = printed_numbers.table1(paper).dropna(subset="win")
    assert (duels[["win", "tie", "lose"]].sum(axis=1) == 1).all()
    assert paper.hyperparameters["more"]["momentum_alpha"] == 0.99


def test_errors_name_the_key():
    with pytest.raises(ValueError, match=r"printed_numbers.yaml: .*pairs: Field required"):
        printed_numbers.parse("citation: {arxiv: a, venue: b, code: c}")


def difference(accuracy, sizes, *settings):
    both = (accuracy,) * len(sizes)
    return np.subtract(*null_pairs(both, both, sizes, *settings))


def test_noise_of_two_calibrated_models_gives_the_known_tails():
    rng = np.random.default_rng(0)
    noise = difference(0.724, (2352, 2312), 10, 600, rng)
    assert noise.std() == pytest.approx(0.0041 * np.sqrt(2), rel=0.15)
    assert (np.abs(noise) >= 0.0141).mean() < 0.03
    assert 0.15 < (np.abs(noise) >= 0.0068).mean() < 0.33
    tied = difference(0.65, (500,), 10, 50, rng, 1.0)
    assert np.abs(tied).max() < 5e-3  # their covariance is that of a sample
    with pytest.raises(ValueError, match=r"accuracy is 0\.4"):
        difference(0.4, (10,), 10, 5, rng)


def test_drawn_bins_give_the_nulls_of_drawn_pairs(calibrated):
    from more_repro.evaluation.metrics.ece import ece_of

    rng = np.random.default_rng(1)
    a = 0.3853  # accuracy .65
    drawn = null_pairs((0.65, 0.65), (0.65, 0.65), (800, 1200), 10, 2000, rng, 0.8)
    slow = []
    for _ in range(400):
        errors = np.zeros(2)
        for n in (800, 1200):
            noise = rng.standard_normal(n)
            other = 0.8 * noise + 0.6 * rng.standard_normal(n)
            errors += [ece_of(2 * a * (a + e), 10) / 2 for e in (noise, other)]
        slow.append(errors)
    slow = np.array(slow).T
    assert drawn[0].mean() == pytest.approx(slow[0].mean(), rel=0.06)
    assert drawn[0].std() == pytest.approx(slow[0].std(), rel=0.12)
    assert (drawn[0] - drawn[1]).std() == pytest.approx((slow[0] - slow[1]).std(), rel=0.12)
