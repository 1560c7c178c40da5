import hashlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from more_repro.store.digests import digest, digest_of, file_digest, json_digest


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_lists_have_the_same_digest_where_they_are_the_same(first, second):
    assert (digest(first) == digest(second)) == (first == second)


def test_borders_between_parts_count():
    assert digest(["ab", "c"]) != digest(["a", "bc"])
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of([1]) != digest_of(1)


def test_the_order_of_keys_does_not_count_and_that_of_lists_does():
    assert json_digest({"a": 1, "b": "ü"}) == json_digest({"b": "ü", "a": 1})
    assert json_digest([1, 2]) != json_digest([2, 1])
    assert json_digest({"a": "ü"}) == hashlib.sha256('{"a": "ü"}'.encode()).hexdigest()
    assert digest_of({"a": 1}, "b") == json_digest([{"a": 1}, "b"])[:24]


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"text")
    assert file_digest(tmp_path / "a") == hashlib.sha256(b"text").hexdigest()
