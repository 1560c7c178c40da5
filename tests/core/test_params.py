"""params.yaml: strict, typed, and helpful when it refuses."""

from pathlib import Path

import pytest
import yaml

from more_repro.params import Params, ParamsError, Scheme, Source, load_params
from more_repro.schemes import Roles

ROOT = Path(__file__).resolve().parents[2]
PRESETS = sorted((ROOT / "params").glob("*.yaml"))
FREE_MAPS = {"sources", "regimes", "bases", "schemes"}


def write(tmp_path: Path, old: str, new: str) -> Path:
    text = (ROOT / "params" / "small.yaml").read_text()
    assert old in text
    path = tmp_path / "params.yaml"
    path.write_text(text.replace(old, new, 1))
    return path


def keys_of(section: object, where: str = "") -> set[str]:
    """Paths of all keys, those of maps with free keys left out."""
    if not isinstance(section, dict) or where in FREE_MAPS or where.endswith(("criteria", "instructions")):
        return {where}
    return {path for key, value in section.items() for path in keys_of(value, f"{where}.{key}".lstrip("."))}


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_preset_loads_and_names_itself(path: Path) -> None:
    assert load_params(path).profile == path.stem


def test_every_key_of_a_section_stands_in_the_file_that_people_edit() -> None:
    dumped = load_params(ROOT / "params" / "small.yaml").model_dump(exclude={"role_names"})
    assert keys_of(dumped) == keys_of(yaml.safe_load((ROOT / "params" / "small.yaml").read_text()))


def test_a_scheme_is_its_weighting() -> None:
    found = load_params(ROOT / "params" / "small.yaml").schemes
    plain = {"trained_on": "mixture", "alpha": 1.0, "normalization": "none", "lambda_scope": "batch", "weights": None}
    plain |= {"losses": {}}
    assert found["multitask"].model_dump() == {"weighting": "uniform"} | plain
    assert found["more"].model_dump() == {"weighting": "more"} | plain | {"alpha": 0.99, "normalization": "l2"}
    assert found["more_slow"].model_dump() == found["more"].model_dump() | {"alpha": 0.05}
    assert Scheme.model_validate({"weighting": "frank_wolfe"}).model_dump() == found["more"].model_dump() | {
        "weighting": "frank_wolfe"
    }
    assert Scheme.model_validate({"weighting": "more", "normalization": "none"}).normalization == "none"


def test_a_source_is_its_reader_and_its_files() -> None:
    assert Source.model_validate({"reader": "embedded"}).licence == "CC0-1.0"
    own = Source.model_validate({"reader": "auto", "train": "a.jsonl"})
    assert (own.licence, own.location, own.test) == (None, None, None)


def test_sections_that_size_nothing_may_be_left_out(tmp_path: Path) -> None:
    raw = yaml.safe_load((ROOT / "params" / "tiny.yaml").read_text())
    least = {
        "profile": "mine",
        "sources": {"helpful": {"reader": "embedded"}},
        "regimes": {"r": {"learning_rate": 1e-3}},
    }
    least |= {name: raw[name] for name in ("bases", "schemes", "seeds")} | {"judge": {"kind": "oracle"}}
    least |= {"data": {"seed": 1, "validation_pairs": 9, "pairs_per_source": 16}, "report": {"regime": "r"}}
    sft, best_of = {"learning_rate": 1e-3}, {"schemes": ["more"], "prompts": 4}
    align = {"policy": "nano", "sources": ["helpful"], "schemes": ["more"], "train_prompts": 4, "test_prompts": 4}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(least | {"align": align | {"sft": sft, "best_of": best_of}}))
    found = load_params(tmp_path / "params.yaml")
    assert (found.rm.pairs_per_source_per_batch, found.rm.sweep.counts) == (16, ())
    assert (found.align.samples_per_prompt, found.align.sft.batch_size, found.stats.bins) == (4, 64, 10)
    assert found.roles == Roles("more", "multitask", "single")


@pytest.mark.parametrize("text", ["1e-6", "1E-6", "1.0e-6", "0.000001"])
def test_a_learning_rate_is_a_number_however_it_is_written(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, "learning_rate: 1.0e-3", f"learning_rate: {text}")
    assert load_params(path).regimes["balanced"].learning_rate == 1e-6


@pytest.mark.parametrize(
    ("old", "new", "typo", "meant"),
    [
        ("checkpoint_steps:", "checkpoint_step:", "rm.checkpoint_step", "checkpoint_steps"),
        ("hidden_size: 32", "hiden_size: 32", "bases.tiny.pretrain.hiden_size", "hidden_size"),
        ("seeds: [0, 1, 2]", "seeds: [0]\nrole: {}", "role", "roles"),
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
        ("weighting: more}", "weighting: more, trained_on: each}", "roles.single is not clear: single and more could"),
        ("alpha: 0.05", "alpha: 0.99", "roles.method is not clear: more and more_slow could play it"),
        (
            "seeds: [0, 1, 2]",
            "seeds: [0]\nroles: {method: upgrad}",
            "roles.method names 'upgrad', which is none of single, multitask",
        ),
        ("  random:       {", "  top:       {", "kept for what is no trained scheme"),
        ("  helpful:   {", "  first2:   {", "sources.first2: this name is kept for several sources together"),
        ("  helpful:   {", "  mixture:   {", "sources.mixture: this name is kept for several sources together"),
        ("  balanced:  {", "  none:  {", "regimes.none: this name is kept for what has none"),
        ("helpful:   {reader: embedded}", "helpful:   {reader: auto}", "sources.helpful.train is missing"),
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


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{}", "bases.tiny: needs `model` (a hub id or a folder) or `pretrain` (settings), and has neither"),
        ("{model: a/b}", "bases.tiny: revision is missing: the hub model a/b is read at one commit"),
        ("{model: ./a, revision: main}", "bases.tiny: has a revision, and its model ./a is a folder"),
        ("{model: '../../x y', pretrain: {}}", "key 'bases.tiny.pretrain.hidden_size' is missing"),
        ("{model: a b, revision: main}", "bases.tiny: has the model 'a b': expected a hub id"),
        ("{model: a/../b, revision: main}", "bases.tiny: has the model 'a/../b': expected a hub id"),
        ("{revision: main, pretrain: SHAPE}", "bases.tiny: has `pretrain` and `revision`"),
        ("{model: a/b, pretrain: SHAPE}", "bases.tiny: has `pretrain` and `model`"),
        (
            "{rendering: chat_template, pretrain: SHAPE}",
            "bases.tiny: has `pretrain`, whose tokenizer has no chat template: rendering must be plain",
        ),
        ("{hidden_size: 16}", "unknown key 'bases.tiny.hidden_size'; it stands under 'bases.tiny.pretrain'"),
        ("{modell: a/b}", "unknown key 'bases.tiny.modell'; the nearest known key is 'model'"),
    ],
)
def test_a_base_is_a_model_or_settings_and_an_error_says_which_was_meant(tmp_path: Path, entry: str, told: str) -> None:
    shape = (
        "{hidden_size: 32, intermediate_size: 64, layers: 2, heads: 2, steps: 9, batch_size: 6, learning_rate: 1e-3}"
    )
    text = (ROOT / "params" / "small.yaml").read_text()
    line = next(line for line in text.splitlines() if line.startswith("  tiny: "))
    path = write(tmp_path, line, f"  tiny: {entry.replace('SHAPE', shape)}")
    number = text.splitlines().index(line) + 1
    with pytest.raises(ParamsError) as error:
        load_params(path)
    assert f"params.yaml: line {number}: {told}" in str(error.value)


@pytest.mark.parametrize(
    ("entry", "is_folder"),
    [
        ("{model: EleutherAI/pythia-410m, revision: 9879c9b5}", False),
        ("{model: gpt2, revision: main, rendering: chat_template}", False),
        ("{model: ./models/mine}", True),
        ("{model: /models/mine}", True),
        ("{model: ~/mine}", True),
    ],
)
def test_a_model_of_the_hub_or_of_a_folder_is_two_keys(tmp_path: Path, entry: str, is_folder: bool) -> None:
    text = (ROOT / "params" / "small.yaml").read_text()
    line = next(line for line in text.splitlines() if line.startswith("  tiny: "))
    found = load_params(write(tmp_path, line, f"  tiny: {entry}")).bases["tiny"]
    assert (found.is_folder, found.pretrain) == (is_folder, None)


def test_an_error_names_the_line_also_in_a_list(tmp_path: Path) -> None:
    path = write(tmp_path, "counts: [2, 3, 4]", "counts: [2, three, 4]")
    number = next(n for n, line in enumerate(path.read_text().splitlines(), 1) if "[2, three, 4]" in line)
    with pytest.raises(ParamsError, match=rf"line {number}: rm\.sweep\.counts\.1: .*, found 'three'"):
        load_params(path)
