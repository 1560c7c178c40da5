"""params.yaml: strict, typed, and helpful when it refuses."""

from pathlib import Path

import pytest
import yaml

from more_repro.params import Params, ParamsError, load_params

ROOT = Path(__file__).resolve().parents[2]
PRESETS = sorted((ROOT / "params").glob("*.yaml"))
FREE_MAPS = {"sources", "regimes", "bases", "schemes"}


def write(tmp_path: Path, old: str, new: str) -> Path:
    text = (ROOT / "params" / "small.yaml").read_text()
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


def key_tree(section: object, name: str = "") -> object:
    """Keys of a preset, with the entries of free maps reduced to the union of their keys."""
    if not isinstance(section, dict):
        return None
    # Keys that are free, or a section that may be left out as a whole.
    if name in ("unique_pairs", "losses", "instructions"):
        return None
    if name in FREE_MAPS:
        trees = [key_tree(value) for value in section.values()]
        assert all(tree == trees[0] for tree in trees), name
        return {"*": trees[0]}
    return {key: key_tree(value, key) for key, value in section.items()}


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_preset_loads_and_names_itself(path: Path) -> None:
    assert load_params(path).profile == path.stem


def test_presets_have_one_key_tree() -> None:
    trees = [key_tree(yaml.safe_load(path.read_text())) for path in PRESETS]
    assert len(PRESETS) == 5
    assert all(tree == trees[0] for tree in trees)


def test_instruction_tuning_names_all_its_keys() -> None:
    taught = load_params(ROOT / "params" / "paper.yaml").align.instructions
    assert taught is not None
    given = yaml.safe_load((ROOT / "params" / "paper.yaml").read_text())["align"]["instructions"]
    assert key_tree(taught.model_dump()) == key_tree(given)


def test_every_schema_field_stands_in_the_presets() -> None:
    dumped = load_params(ROOT / "params" / "small.yaml").model_dump()
    assert key_tree(dumped) == key_tree(yaml.safe_load((ROOT / "params" / "small.yaml").read_text()))


@pytest.mark.parametrize("text", ["1e-6", "1E-6", "1.0e-6", "0.000001"])
def test_a_learning_rate_is_a_number_however_it_is_written(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "learning_rate: 1.0e-3", f"learning_rate: {text}")
    assert load_params(path).regimes["balanced"].learning_rate == 1e-6


@pytest.mark.parametrize(
    ("old", "new", "typo", "meant"),
    [
        ("checkpoint_steps:", "checkpoint_step:", "rm.checkpoint_step", "checkpoint_steps"),
        ("hidden_size: 32", "hiden_size: 32", "bases.tiny.hiden_size", "hidden_size"),
        ("null_draws:", "nul_draws:", "stats.nul_draws", "null_draws"),
        ("judge:", "judges:", "judges", "judge"),
        ("trained_on: each", "train_on: each", "schemes.single.train_on", "trained_on"),
    ],
)
def test_unknown_key_is_refused_with_the_nearest_known_one(
    tmp_path: Path, old: str, new: str, typo: str, meant: str
) -> None:
    with pytest.raises(ParamsError) as error:
        load_params(write(tmp_path, old, new))
    assert f"unknown key '{typo}'" in str(error.value)
    assert f"nearest known key is '{meant}'" in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("bins: 10", "bins: 9", "even"),
        ("seeds: [0, 1, 2]", "seeds: [0, 0]", "different"),
        ("seeds: [0, 1, 2]", "seeds: []", "at least one"),
        ("epochs: 1", "epochs: fifteen", "fifteen"),
        ("epochs: 1", "epochs: '1'", "rm.epochs"),
        ("profile: small ", "profile: ../up ", "profile"),
        ("  helpful:   {", "  a/b:   {", "a/b"),
        ("policy: tiny", "policy: huge", "huge"),
        ("regime: resampled", "regime: other", "other"),
        ("location: null             # hub", "location: org/model         # hub", "revision is missing"),
        ("  random:       {", "  averaging:    {", "kept for a scheme"),
        ("bins: 10", "bins: 10\n  bins: 12", "given twice"),
        ("bins: 10", "bins: [", "params.yaml"),
        ("{reader: embedded", "{reader: embeded", "unknown reader 'embeded'; the nearest known one is 'embedded'"),
        ("weighting: more, ", "weighting: mroe, ", "unknown weighting 'mroe'; the nearest known one is 'more'"),
        ("{center: 0.01}", "{centre: 0.01}", "unknown loss term 'centre'; the nearest known one is 'center'"),
        ("{center: 0.01}", "{center: -0.01}", "schemes.centered.losses.center"),
        ("kind: oracle ", "kind: orcale ", "judge.kind: unknown judge 'orcale'; the nearest known one is 'oracle'"),
        ("kind: oracle ", "kind: 'oracle:x' ", "unknown judge 'oracle:x'"),
    ],
)
def test_bad_values_are_refused_with_what_was_found(tmp_path: Path, old: str, new: str, part: str) -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml") as error:
        load_params(write(tmp_path, old, new))
    assert part in str(error.value)


def test_a_missing_file_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="make use"):
        load_params(tmp_path / "none.yaml")


def test_params_are_frozen() -> None:
    params = load_params(ROOT / "params" / "small.yaml")
    with pytest.raises(Exception, match="frozen"):
        params.stats.bins = 12
    assert isinstance(params, Params)
