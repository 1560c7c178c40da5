"""A preset says what it changes; the whole params file is made of it, comments kept."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from more_repro.params import ParamsError, load_params, resolved_text
from more_repro.params.presets import NAMED, extend, merged
from more_repro.params.sections import Section
from more_repro.params.study import Params

ROOT = Path(__file__).resolve().parents[2]
BASE = """# The opening of the base.
profile: small     # names the folder

# Sources in order.
sources:
  a: {reader: x}
  b: {reader: y}
data:
  seed: 1          # of everything
  folder: own
  nested:
    deep: 1        # far down
rm:
  epochs: 1
  sweep: {bases: [t], counts: [2, 3]}   # Fig 6
  lora: null       # every weight
# The last words.
"""


def test_a_number_takes_its_place_and_its_comment_stays_where_it_was() -> None:
    assert extend(BASE, "extends: x\ndata: {seed: 12345}\n") == BASE.replace("seed: 1    ", "seed: 12345")
    assert "  seed: 12345678901 # of everything\n" in extend(BASE, "extends: x\ndata: {seed: 12345678901}\n")


def test_a_comment_of_the_preset_replaces_that_of_the_base() -> None:
    text = extend(BASE, "# Mine.\nextends: x\nprofile: mine  # my own\n")
    assert text.startswith("# Mine.\nprofile: mine      # my own\n\n# Sources in order.\n")


def test_a_map_of_names_is_replaced_as_a_whole_and_a_section_key_by_key() -> None:
    text = extend(BASE, "extends: x\nsources:\n  c: {reader: z}   # new\nrm:\n  sweep: {counts: [2]}\n")
    assert "sources:\n  c: {reader: z}   # new\ndata:\n" in text
    assert "  sweep: {bases: [t], counts: [2]}   # Fig 6\n" in text
    assert "# Sources in order.\n" in text
    assert text.endswith("# The last words.\n")


def test_a_value_in_a_line_can_become_a_section_and_back() -> None:
    block = "extends: x\nrm:\n  lora:            # adapters\n    rank: 4\n    alpha: 8\n"
    text = extend(BASE, block)
    assert "  lora:            # adapters\n    rank: 4\n    alpha: 8\n# The last words.\n" in text
    assert "  nested: null\nrm:\n" in extend(BASE, "extends: x\ndata:\n  nested: null\n")


def test_a_key_that_the_base_leaves_to_its_default_is_added_to_its_section() -> None:
    text = extend(BASE, "extends: x\nrm: {sweep: {schemes: [m]}}\ndata:\n    drift: 2.0   # stronger\nseeds: [0]\n")
    assert "counts: [2, 3], schemes: [m]}   # Fig 6\n" in text
    assert "    deep: 1        # far down\n  drift: 2.0   # stronger\nrm:\n" in text
    assert "  lora: null       # every weight\nseeds: [0]\n# The last words.\n" in text


def test_a_change_that_cannot_be_written_is_named() -> None:
    with pytest.raises(ParamsError, match="mine: key 'bases' stands in one line of what it extends"):
        extend(BASE, "extends: x\nrm:\n  sweep:\n    bases:\n      - u\n", "mine")
    with pytest.raises(ParamsError, match="mine: key 'schemes' comes into one line of what it extends"):
        extend(BASE, "extends: x\nrm:\n  sweep:\n    schemes:\n      - u\n", "mine")


values = st.one_of(st.integers(-9, 9), st.booleans(), st.none(), st.lists(st.integers(0, 3), max_size=3))
changes = st.fixed_dictionaries(
    {},
    optional={
        "profile": st.sampled_from(["p", "a long name"]),
        "sources": st.dictionaries(st.sampled_from("abc"), st.fixed_dictionaries({"reader": values}), min_size=1),
        "data": st.dictionaries(st.sampled_from(["seed", "folder", "new"]), values, min_size=1),
        "rm": st.fixed_dictionaries({}, optional={"epochs": values, "lora": values}),
    },
)


@settings(deadline=None)
@given(changes, st.booleans())
def test_the_text_holds_what_the_data_says(wanted: dict[str, object], in_lines: bool) -> None:
    written = {key: f"{key}: {json.dumps(value)}\n" for key, value in wanted.items()}
    if in_lines:
        written = {key: yaml.safe_dump({key: value}, default_flow_style=False) for key, value in wanted.items()}
    preset = "extends: x\n" + "".join(written.values())
    assert yaml.safe_load(extend(BASE, preset)) == merged(yaml.safe_load(BASE), wanted)


def test_maps_of_names_are_those_of_the_schema() -> None:
    """A map that a new key brings is replaced or merged on purpose."""

    def maps(section: type[Section]) -> set[str]:
        found = set()
        for name, field in section.model_fields.items():
            text = str(field.annotation)
            found |= {name} if text.startswith("dict[") or "dict[" in text.split(" | ")[0] else set()
            for part in [field.annotation, *getattr(field.annotation, "__args__", ())]:
                if isinstance(part, type) and issubclass(part, Section):
                    found |= maps(part)
        return found

    assert maps(Params) <= set(NAMED)


def write(folder: Path, **presets: str) -> Path:
    for name, text in presets.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_a_preset_may_extend_one_that_extends_another(tmp_path: Path) -> None:
    write(tmp_path, a=BASE, b="extends: a\nprofile: b\nrm: {epochs: 2}\n", c="# C.\nextends: b\nrm: {epochs: 3}\n")
    text = resolved_text(tmp_path / "c.yaml")
    assert text == BASE.replace("small     #", "b         #").replace("epochs: 1", "epochs: 3").replace(
        "# The opening of the base.", "# C."
    )


def test_presets_in_a_circle_are_refused(tmp_path: Path) -> None:
    write(tmp_path, a="extends: b\n", b="extends: a\n")
    with pytest.raises(ParamsError, match="extend each other in a circle: a, b"):
        resolved_text(tmp_path / "a.yaml")


def test_a_base_that_is_not_there_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("extends: small\nprofile: mine\n")
    with pytest.raises(ParamsError, match=r"params\.yaml: extends 'small', and there is no small\.yaml beside it"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("name", ["../small", "a/b", "", "small.yaml"])
def test_a_base_is_a_name_and_no_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "presets").mkdir()
    write(tmp_path, small=BASE)
    write(tmp_path / "presets", mine=f"extends: {name!r}\nprofile: mine\n")
    with pytest.raises(ParamsError, match="extends: expected the name of a preset"):
        resolved_text(tmp_path / "presets" / "mine.yaml")


def test_an_error_in_a_preset_names_its_file_and_key(tmp_path: Path) -> None:
    write(tmp_path, small=(ROOT / "params" / "small.yaml").read_text(), mine="extends: small\nrm: {epoch: 2}\n")
    with pytest.raises(ParamsError, match=r"mine\.yaml: unknown key 'rm\.epoch'; .* is 'epochs'"):
        load_params(tmp_path / "mine.yaml")
    write(tmp_path, mine="extends: small\nrm: [epochs\n")
    with pytest.raises(ParamsError, match=r"mine\.yaml: while parsing a flow sequence"):
        load_params(tmp_path / "mine.yaml")


def test_the_study_says_what_it_changes_in_a_dozen_lines() -> None:
    """And the whole file differs from small where the preset says so, and nowhere else."""
    lines = (ROOT / "params" / "study.yaml").read_text().splitlines()
    assert len(lines) <= 15
    small = (ROOT / "params" / "small.yaml").read_text().splitlines()
    whole = resolved_text(ROOT / "params" / "study.yaml").splitlines()
    assert len([line for line in small if line not in whole]) <= 10
    assert len([line for line in whole if line not in small]) <= 15


def test_the_paper_preset_has_no_number_of_a_models_shape() -> None:
    for base in load_params(ROOT / "params" / "paper.yaml").bases.values():
        assert base.pretrain is None
        assert base.model is not None
    text = (ROOT / "params" / "paper.yaml").read_text()
    assert not {"hidden_size", "layers", "heads", "vocabulary"} & set(text.replace(":", " ").split())
