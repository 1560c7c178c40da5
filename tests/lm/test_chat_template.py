"""Rendering by a tokenizer's own chat template, on small templates of the usual kinds."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from more_repro.lm import base_files, bases, encoding, generation
from more_repro.lm.chat_template import check_template
from more_repro.params import Base
from more_repro.records import Message
from tiny_models import tiny_config

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Refuses a system turn, trims its messages, and ends a response without anything after it.
LLAMA = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] | trim + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] | trim + ' ' + eos_token }}{% endif %}{% endfor %}"
)
FORGETFUL = CHATML.replace("{% for message in messages %}", "{% for message in messages if message.role != 'system' %}")
SPECIALS = ("<|im_start|>", "<|im_end|>", "<s>", "</s>", "<pad>")
TEXTS = ["Hello there, how are you?\n\nI am fine.", "user assistant system [INST] [/INST]", "naïve 日本 café  two"] * 4
TEMPLATES = {"chatml": CHATML, "llama": LLAMA}


def make_tokenizer(template: str | None) -> PreTrainedTokenizerFast:
    """As a hub has it: the end of a sequence is not the end of a ChatML turn."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    )
    backend.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIALS])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", chat_template=template
    )


def loaded(template: str) -> PreTrainedTokenizerFast:
    """As a base whose rendering is chat_template gives it."""
    tokenizer = make_tokenizer(template)
    tokenizer.eos_token = check_template(tokenizer, "base")
    return tokenizer


def user(*contents: str) -> tuple[Message, ...]:
    """User and assistant in turn, the user first."""
    return tuple(Message(("user", "assistant")[number % 2], text) for number, text in enumerate(contents))


def standard(tokenizer, messages, open_turn: bool) -> list[int]:
    dialogue = [{"role": message.role, "content": message.content} for message in messages]
    return tokenizer.apply_chat_template(dialogue, add_generation_prompt=open_turn, return_dict=False)


def write_hub_base(folder, template: str | None) -> None:
    """A folder as the hub has it: a model and its tokenizer, no base.json."""
    tokenizer = make_tokenizer(template)
    tokenizer.save_pretrained(folder)
    AutoModelForCausalLM.from_config(tiny_config("gpt_neox", len(tokenizer), layers=1)).save_pretrained(folder)


@pytest.fixture(params=TEMPLATES)
def tokenizer(request):
    return loaded(TEMPLATES[request.param])


PROMPTS = [user("Hello there"), user("Hello", "I am fine.", "how are you?"), user("two\n\nparagraphs ", " a ", "日本")]
RESPONSES = ["I am fine.", "two words\n\nand  more", " padded ", "naïve café", "x"]


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("response", RESPONSES)
def test_prompt_and_response_are_the_standard_rendering(tokenizer, prompt, response):
    left = encoding.encode_prompt(tokenizer, prompt)
    assert left == standard(tokenizer, prompt, open_turn=True)
    whole = standard(tokenizer, (*prompt, Message("assistant", response)), open_turn=False)
    assert left + encoding.encode_response(tokenizer, response) == whole


TOKENIZERS = {name: loaded(template) for name, template in TEMPLATES.items()}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(TEMPLATES)), st.lists(st.sampled_from([*SPECIALS, "a", " ", "\n", "<", "|>"]), min_size=1)
)
def test_a_text_that_spells_a_special_token_never_becomes_one(name, parts):
    tokenizer, text = TOKENIZERS[name], "".join(parts)
    special = set(tokenizer.all_special_ids)

    def specials_of(ids):
        return [token for token in ids if token in special]

    plain, spelled = user("x"), user(text)
    encode = encoding.encode_prompt
    assert specials_of(encode(tokenizer, spelled)) == specials_of(encode(tokenizer, plain))
    response = encoding.encode_response(tokenizer, text)
    assert specials_of(response) == specials_of(encoding.encode_response(tokenizer, "x"))
    # Nothing of the text is lost either: the plain characters are all there.
    end = encoding.response_end(tokenizer)
    assert text.strip() in encoding.decode_response(tokenizer, response[: -len(end)])


def test_a_response_of_line_breaks_leaves_the_prompts_tokens_alone():
    tokenizer = TOKENIZERS["chatml"]
    prompt = encoding.encode_prompt(tokenizer, user("Hello"))
    ids = encoding.encode_response(tokenizer, "\nHello")
    assert prompt == standard(tokenizer, user("Hello"), open_turn=True)
    assert tokenizer.decode(ids) == "\nHello<|im_end|>\n"


def test_the_end_of_a_response_is_known():
    assert tokens(TOKENIZERS["llama"]) == "</s>"
    assert make_tokenizer(CHATML).eos_token == "</s>"
    assert TOKENIZERS["chatml"].eos_token == "<|im_end|>"
    assert tokens(TOKENIZERS["chatml"]) == "<|im_end|>\n"


def tokens(tokenizer) -> str:
    return tokenizer.decode(encoding.response_end(tokenizer))


def test_roles_that_a_template_cannot_show_are_refused():
    system = (Message("system", "be kind"), *user("Hello"))
    with pytest.raises(ValueError, match="refuses a dialogue of system, user: System role not supported"):
        encoding.encode_prompt(TOKENIZERS["llama"], system)
    with pytest.raises(ValueError, match=r"leaves out or repeats a message of system, user: \['system'\]"):
        encoding.encode_prompt(make_tokenizer(FORGETFUL), system)
    shown = encoding.encode_prompt(TOKENIZERS["chatml"], system)
    assert "be kind" in TOKENIZERS["chatml"].decode(shown)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "the tokenizer has none"),
        ("{% for m in messages %}{{ m['content'] }}\n{% endfor %}", "no special token after a response"),
        (
            CHATML.replace("<|im_start|>assistant\n{% endif", "Answer:{% endif"),
            "does not begin with the rendered prompt",
        ),
    ],
)
def test_a_template_that_cannot_serve_stops_the_base_stage(template, message, base_settings, corpus, tmp_path):
    write_hub_base(tmp_path / "hub", template)
    asked = Base(model=str(tmp_path / "hub"), rendering="chat_template")
    with pytest.raises(ValueError, match=message):
        bases.make_base("nano", asked, corpus, tmp_path / "base", seed=1, max_length=32)
    assert not (tmp_path / "base" / "base.json").exists()


def test_the_choice_is_kept_with_the_base_and_changes_its_fingerprint(base_settings, corpus, tmp_path):
    write_hub_base(tmp_path / "hub", CHATML)
    found = {}
    for form in ("plain", "chat_template"):
        asked = Base(model=str(tmp_path / "hub"), rendering=form)
        bases.make_base("nano", asked, corpus, tmp_path / form, seed=1, max_length=32)
        tokenizer = bases.load_tokenizer(tmp_path / form)
        found[form] = tokenizer.decode(encoding.encode_prompt(tokenizer, user("Hello")))
    assert found["plain"] == "<s>## Human:\nHello\n\n## Assistant:\n"
    assert found["chat_template"] == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    assert base_files.fingerprint(tmp_path / "plain") != base_files.fingerprint(tmp_path / "chat_template")
    before = base_files.fingerprint(tmp_path / "chat_template")
    template = tmp_path / "hub" / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert base_files.fingerprint(tmp_path / "chat_template") != before


def test_a_pointer_without_a_rendering_is_plain(base_dir, tmp_path):
    (tmp_path / "base.json").write_text(json.dumps({"kind": "hub", "location": str(base_dir), "revision": None}))
    assert base_files.rendering(tmp_path) == "plain"
    assert bases.load_tokenizer(tmp_path).chat_template is None


def test_generation_stops_at_the_templates_end_token(base_settings, corpus, tmp_path):
    write_hub_base(tmp_path / "hub", CHATML)
    asked = Base(model=str(tmp_path / "hub"), rendering="chat_template")
    bases.make_base("nano", asked, corpus, tmp_path / "base", seed=1, max_length=32)
    tokenizer, model = bases.load_tokenizer(tmp_path / "base"), bases.load_causal_lm(tmp_path / "base")
    assert tokenizer.eos_token == "<|im_end|>"
    with torch.no_grad():  # a model that writes the end token whatever it reads
        head = model.get_output_embeddings()
        head.weight.zero_()
        head.weight[tokenizer.eos_token_id] = 1.0
        model.base_model.final_layer_norm.bias.fill_(1.0)
        model.base_model.final_layer_norm.weight.zero_()
    ((sample,),) = generation.generate(
        model, tokenizer, [user("Hello")], n=1, max_new_tokens=4, temperature=0.0, seed=0, batch_size=4
    )
    assert sample == generation.Generated("", 1, True)
