"""Roles are found from what schemes are; `trained_on` is read and written in one place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from more_repro.params import Scheme
from more_repro.schemes import (
    PAPER,
    RESERVED_SOURCES,
    RoleError,
    Roles,
    TrainedOn,
    control_schemes,
    find_roles,
    first_k,
    is_first_k,
)

SOURCES = ("helpful", "harmless", "webgpt")
PLAIN = {
    "vanilla": Scheme(weighting="uniform"),
    "per_source": Scheme(weighting="uniform", trained_on="each"),
    "momentum": Scheme.model_validate({"weighting": "more"}),
}


def scheme(**changes: object) -> Scheme:
    return Scheme.model_validate({"weighting": "uniform"} | changes)


def test_roles_are_found_whatever_schemes_are_called() -> None:
    assert find_roles(PLAIN, {}) == Roles("momentum", "vanilla", "per_source")


def test_of_several_the_papers_own_settings_play_the_role() -> None:
    more = {
        "slow": scheme(weighting="more", alpha=0.05),
        "soft": scheme(weighting="more", losses={"label_smoothing": 0.1}),
    }
    penalties = {
        "a": scheme(losses={"label_smoothing": 0.1}),
        "b": scheme(losses={"center": 0.01}),
        "c": scheme(losses={"sum_to_zero": 0.25}),
    }
    singles = {"soft_each": scheme(trained_on="each", losses={"label_smoothing": 0.1})}
    assert find_roles({**more, **penalties, **singles, **PLAIN}, {}) == Roles("momentum", "vanilla", "per_source")


def test_the_only_candidate_plays_its_role_whatever_its_settings() -> None:
    assert find_roles({"slow": scheme(weighting="more", alpha=0.05)}, {}).method == "slow"
    assert find_roles({"each": scheme(trained_on="each", losses={"center": 0.1})}, {}).single == "each"
    assert find_roles({"smoothed": scheme(losses={"label_smoothing": 0.1})}, {}).reference == Roles().reference, (
        "no vanilla mixing"
    )


def test_a_role_that_nobody_plays_has_a_name_that_no_scheme_can_have() -> None:
    for name in (Roles().method, Roles().reference, Roles().single):
        assert "(" in name
    assert find_roles({}, {}) == Roles()


@pytest.mark.parametrize(
    ("extra", "role", "both"),
    [
        ({"second": {"weighting": "more", "lambda_scope": "micro_batch"}}, "method", "momentum and second"),
        ({"second": {"weighting": "uniform", "lambda_scope": "micro_batch"}}, "reference", "vanilla and second"),
        ({"second": {"weighting": "more", "trained_on": "each"}}, "single", "per_source and second"),
    ],
)
def test_two_candidates_are_an_error_that_names_both_and_says_what_to_write(
    extra: dict[str, dict[str, object]], role: str, both: str
) -> None:
    schemes = PLAIN | {name: Scheme.model_validate(one) for name, one in extra.items()}
    with pytest.raises(RoleError, match=rf"roles\.{role} is not clear: {both} could play it; name one, as in roles: "):
        find_roles(schemes, {})
    assert getattr(find_roles(schemes, {role: "second"}), role) == "second"


def test_two_that_are_both_not_the_papers_are_an_error_too() -> None:
    slow = {name: scheme(weighting="more", alpha=alpha) for name, alpha in (("a", 0.05), ("b", 0.5))}
    with pytest.raises(RoleError, match="a and b could play it"):
        find_roles(slow, {})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"method": "gone"}, r"roles.method names 'gone', which is none of vanilla, per_source, momentum"),
        ({"method": "per_source"}, "roles.method names 'per_source', which is trained on each, not on mixture"),
        ({"single": "vanilla"}, "roles.single names 'vanilla', which is trained on mixture, not on each"),
        ({"method": "vanilla"}, "roles name one scheme twice"),
    ],
)
def test_a_name_that_cannot_play_a_role_is_refused(given: dict[str, str], told: str) -> None:
    with pytest.raises(RoleError, match=told):
        find_roles(PLAIN, given)


def test_controls_are_known_by_what_they_do() -> None:
    schemes = {
        "multitask": scheme(),
        "single": scheme(trained_on="each", losses={"label_smoothing": 0.1}),
        "more": scheme(weighting="more"),
        "upgrad": scheme(weighting="upgrad"),
        "more_smoothed": scheme(weighting="more", losses={"label_smoothing": 0.1}),
        "proportional": scheme(weighting="proportional"),
        "mine": scheme(losses={"center": 0.1}),
        "dice": scheme(weighting="random"),
    }
    assert control_schemes(schemes) == ("proportional", "mine", "dice")


@given(st.integers(1, 10**6))
def test_first_k_is_read_as_it_is_written(k: int) -> None:
    assert TrainedOn.parse(first_k(k)) == TrainedOn("first", k=k)
    assert is_first_k(first_k(k))


@given(st.from_regex(r"\A[a-z0-9][a-z0-9_-]{0,20}\Z"))
def test_every_value_is_read_as_it_is_written(text: str) -> None:
    found = TrainedOn.parse(text)
    assert str(found) == text
    assert (found.kind == "source") == (text not in RESERVED_SOURCES[:3] and not is_first_k(text))


@pytest.mark.parametrize(
    ("text", "sources", "n_mixed"),
    [
        ("mixture", SOURCES, 3),
        ("each", SOURCES, None),
        ("first2", SOURCES[:2], 2),
        ("webgpt", ("webgpt",), None),
        ("firstaid", None, None),
        ("first", None, None),
        ("first0", None, None),
        ("none", (), None),
    ],
)
def test_the_sources_behind_a_value(text: str, sources: tuple[str, ...] | None, n_mixed: int | None) -> None:
    found = TrainedOn.parse(text)
    assert found.n_mixed(3) == n_mixed
    if sources is not None:
        assert found.sources(SOURCES) == sources
        return
    assert not is_first_k(text)
    with pytest.raises(ValueError, match=f"must be mixture, first<K> or one of helpful, .*, found '{text}'"):
        found.sources(SOURCES)


def test_the_papers_names_are_those_of_its_printed_numbers() -> None:
    from more_repro.evaluation.paper import printed_numbers

    printed = printed_numbers.load()
    for schemes in printed.reward_models.values():
        assert {PAPER.method, PAPER.reference} <= set(schemes)
    for sources in printed.outliers.values():
        assert all({PAPER.method, PAPER.reference, PAPER.single} == set(one) for one in sources.values())
