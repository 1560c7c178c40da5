"""Bases: pretrained here from a corpus, or taken from the Hugging Face hub at one commit; and loading either."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPTNeoXConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from more_repro import tables
from more_repro.lm.base_files import origin, rendering, write_pointer
from more_repro.lm.chat_template import check_template
from more_repro.lm.encoding import Example, encode_texts
from more_repro.lm.sequence_classifier import HEAD, check_loaded, draw_head, ensure_padding, quiet_loading
from more_repro.lm.tokenizers import make_tokenizer
from more_repro.lm.training import CausalTraining, train_causal_lm
from more_repro.params import Base, Pretraining
from more_repro.store.checkpoint import drop_checkpoints
from more_repro.store.code_key import CHANGES_NO_NUMBER, code_key
from more_repro.store.digests import digest, digest_of

WARMUP_RATIO = 0.05
# Only what a model and a tokenizer need: no pickled weights, no code.
_HUB_FILES = ("*.safetensors", "*.safetensors.index.json", "config.json", "tokenizer*", "vocab*", "merges.txt",
              "special_tokens_map.json", "added_tokens.json", "chat_template.jinja")  # fmt: skip


def make_base(
    name: str,
    settings: Base,
    corpus: Sequence[str],
    out: Path,
    seed: int,
    max_length: int,
    checkpoints: Path | None = None,
) -> pd.DataFrame:
    """Pretrain a base on the corpus, or point at the model that `settings.model` names, under `out`.

    corpus: rendered transcripts. `out/base.json` is written last, so a folder that has it is whole. checkpoints: a
    folder of this base's own, from where a long pretraining that was killed goes on; it is deleted at the end.
    Returns the table "base_training"; a model from elsewhere has no row. Raises ValueError for a folder that is not
    there, and where the rendering asks for a chat template that the tokenizer lacks or that cannot serve.
    """
    out.mkdir(parents=True, exist_ok=True)
    if settings.pretrain is None:
        location = _located(name, settings)
        _tokenizer_of(location, settings.revision, settings.rendering)
        counted = count_parameters(location, settings.revision)
        write_pointer(out, "hub", location, settings.revision, settings.rendering, n_parameters=counted)
        return tables.empty("base_training")
    asked = settings.pretrain
    tokenizer = make_tokenizer(asked.tokenizer, corpus, asked.vocabulary, max_length)
    examples = [Example([*ids, tokenizer.eos_token_id][-max_length:], 0) for ids in encode_texts(tokenizer, corpus)]
    model = _new_model(asked, tokenizer, seed, max_length)
    course = CausalTraining(asked.batch_size, asked.steps, asked.learning_rate, WARMUP_RATIO, seed)
    key = _pretraining_key(settings, corpus, seed, max_length)
    log = train_causal_lm(model, examples, course, name=f"pretrain {name}", checkpoints=checkpoints, fingerprint=key)
    model.config.use_cache = True
    with quiet_loading():
        model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    write_pointer(out, "local", None, None, n_parameters=_n_parameters(model))
    if checkpoints is not None:
        drop_checkpoints(checkpoints)
    return tables.check(log.assign(base=name), "base_training")


def count_parameters(location: str, revision: str | None) -> int:
    """Parameters of a hub model or of one in a folder, shared ones once: built without memory from its config."""
    config = AutoConfig.from_pretrained(location, revision=revision, trust_remote_code=False)
    with torch.device("meta"):
        return _n_parameters(AutoModelForCausalLM.from_config(config, trust_remote_code=False))


def _n_parameters(model: PreTrainedModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    """The base's tokenizer: padding right, truncation left, a pad token that no text contains.

    It has a chat template exactly where the base's rendering asks for it; its eos is then what ends a response there.
    Raises ValueError when the tokenizer has no eos, no token that can serve as padding, or no template that can serve.
    """
    return _tokenizer_of(*origin(path), rendering(path))


def _tokenizer_of(source: str, revision: str | None, form: str) -> PreTrainedTokenizerBase:
    tokenizer = AutoTokenizer.from_pretrained(
        source, revision=revision, padding_side="right", truncation_side="left", trust_remote_code=False
    )
    found = (str(tokenizer.padding_side), str(tokenizer.truncation_side))
    if found != ("right", "left"):
        raise ValueError(f"{source}: asked for padding right and truncation left, the tokenizer says {found}")
    if form == "chat_template":
        tokenizer.eos_token = check_template(tokenizer, source)
    else:
        tokenizer.chat_template = None
    if tokenizer.eos_token_id is None:
        raise ValueError(f"{source}: the tokenizer has no end-of-sequence token")
    ensure_padding(tokenizer, source)
    return tokenizer


def load_causal_lm(path: Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The base as a causal language model, in evaluation mode, on the CPU.

    Raises ValueError where its files lack weights.
    """
    source, revision = origin(path)
    with quiet_loading():
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source, revision=revision, dtype=dtype, use_safetensors=True, trust_remote_code=False,
            output_loading_info=True,
        )  # fmt: skip
    model: PreTrainedModel = loaded[0]
    check_loaded(loaded[1], source)
    model.config.use_cache = False
    return model.eval()


def load_sequence_classifier(path: Path, seed: int, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """The base's backbone under a new bias-free reward head (1, H), drawn from a generator of this seed alone.

    The head's law is the base's own: normal with standard deviation `initializer_range`.
    Raises ValueError when the architecture's head is not a bias-free linear layer named `score`, or its files lack
    weights.
    """
    source, revision = origin(path)
    with quiet_loading(), torch.random.fork_rng(devices=[]):
        model, said = AutoModelForSequenceClassification.from_pretrained(
            source, revision=revision, dtype=dtype, num_labels=1, use_safetensors=True, trust_remote_code=False,
            pad_token_id=load_tokenizer(path).pad_token_id, use_cache=False, output_loading_info=True,
        )  # fmt: skip
    check_loaded(said, source, new=(HEAD,))
    draw_head(model, seed, source)
    return model.eval()


def _new_model(
    settings: Pretraining, tokenizer: PreTrainedTokenizerBase, seed: int, max_length: int
) -> PreTrainedModel:
    shared: dict[str, Any] = {
        "vocab_size": len(tokenizer), "hidden_size": settings.hidden_size,
        "intermediate_size": settings.intermediate_size, "num_hidden_layers": settings.layers,
        "num_attention_heads": settings.heads, "max_position_embeddings": max_length, "attention_dropout": 0.0,
        "pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id, "use_cache": False,
    }  # fmt: skip
    config: PreTrainedConfig
    if settings.architecture == "gpt_neox":
        config = GPTNeoXConfig(**shared, hidden_dropout=0.0, classifier_dropout=0.0)
    else:
        # A gated layer has three matrices where the other has two: 8/3 h keeps the number of parameters.
        config = LlamaConfig(**shared, num_key_value_heads=settings.heads)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # transformers draws first weights from the global generator only
        return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


def _pretraining_key(settings: Base, corpus: Sequence[str], seed: int, max_length: int) -> str:
    """Changes with all that a base made here depends on."""
    versions = [torch.__version__, version("transformers"), version("tokenizers")]
    code = code_key(__name__, without=CHANGES_NO_NUMBER)
    return digest_of(settings.model_dump(), digest(corpus), seed, max_length, versions, code)


def _located(name: str, settings: Base) -> str:
    """Check a folder, or fetch a hub model's files into the hub's own cache; what from_pretrained is asked for."""
    location = str(settings.model)
    if settings.is_folder:
        folder = Path(location).expanduser()
        if not (folder / "config.json").is_file():
            raise ValueError(f"bases.{name}.model: {folder} is no folder with a model's config.json")
        return str(folder)
    if Path(location).exists():
        raise ValueError(f"bases.{name}.model: {location} is a folder here: write ./{location}, or move it away")
    from huggingface_hub import snapshot_download

    snapshot_download(location, revision=settings.revision, allow_patterns=list(_HUB_FILES))
    return location
