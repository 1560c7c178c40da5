import numpy as np
import pytest

from more_repro.evaluation import published
from more_repro.evaluation.calibrated import null_differences


@pytest.fixture(scope="module")
def paper():
    return published.load()


def test_table1_is_the_mean_of_tables_4_to_6(paper):
    errors = published.tables4_6(paper).pivot_table(index="base", columns="scheme", values="ece", aggfunc="mean")
    for _, row in published.table1(paper).iloc[1:].iterrows():
        assert row["ece"] == pytest.approx(errors.loc[row["base"], row["scheme"]], abs=6e-5)


def test_table1_accuracy_is_the_mean_of_table2(paper):
    accuracy = published.table2(paper).set_index(["base", "scheme"])[["helpful", "harmless"]].mean(axis=1)
    for _, row in published.table1(paper).iloc[1:].iterrows():
        assert row["accuracy"] == pytest.approx(accuracy[row["base"], row["scheme"]], abs=1.1e-4)


def test_printed_means_of_table2_that_do_not_fit_their_row(paper):
    table = published.table2(paper)
    off = table[(table["mean"] - table["row_mean"]).abs() > 1.5e-4]
    assert list(zip(off["base"], off["scheme"], strict=True)) == [
        ("pythia-1_4b", "multitask"),
        ("pythia-2_8b", "top"),
        ("llama2-7b", "top"),
        ("llama2-13b", "top"),
        ("llama2-13b", "multitask"),
    ]


def test_sizes_and_pinned_values(paper):
    assert [len(f(paper)) for f in (published.table1, published.table2, published.table3, published.tables4_6)] == [
        7, 20, 5, 18,
    ]  # fmt: skip
    assert published.table3(paper)["train"].sum() == 214440
    assert published.table2(paper)["ece"].sum() == pytest.approx(1.2667, abs=1e-9)
    assert published.tables4_6(paper)["positive_count"].sum() == 3168
    duels = published.table1(paper).dropna(subset="win")
    assert (duels[["win", "tie", "lose"]].sum(axis=1) == 1).all()
    assert paper.hyperparameters["more"]["momentum_alpha"] == 0.99


def test_errors_name_the_key():
    with pytest.raises(ValueError, match=r"published.yaml: .*pairs: Field required"):
        published.parse("citation: {arxiv: a, venue: b, code: c}")


def test_noise_of_two_calibrated_models_gives_the_known_tails():
    rng = np.random.default_rng(0)
    noise = null_differences(0.724, (2352, 2312), 10, 600, rng)
    assert noise.std() == pytest.approx(0.0041 * np.sqrt(2), rel=0.15)
    assert (np.abs(noise) >= 0.0141).mean() < 0.03
    assert 0.15 < (np.abs(noise) >= 0.0068).mean() < 0.33
    tied = null_differences(0.65, (500,), 10, 50, rng, correlation=1.0)
    assert np.abs(tied).max() < 1e-12
    with pytest.raises(ValueError, match=r"accuracy is 0\.4"):
        null_differences(0.4, (10,), 10, 5, rng)
