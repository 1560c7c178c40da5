import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from more_repro.stats.multiple_testing import holm


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels(p):
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


def test_nan_stays_and_does_not_count_in_the_family():
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.005, 0.9])
    known = ~np.isnan(p)
    adjusted = holm(p)
    np.testing.assert_allclose(adjusted[known], multipletests(p[known], method="holm")[1])
    assert np.isnan(adjusted[2])
    assert holm([]).size == 0


def test_holm_by_hand():
    # Sorted: .01 x 3, .02 x 2, .04 x 1; each at least the one before.
    assert holm([0.04, 0.01, 0.02]).tolist() == pytest.approx([0.04, 0.03, 0.04])
