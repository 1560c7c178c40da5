"""A saved reward model in the hands of others: transformers' own classes, its pipeline, and TRL's RewardTrainer."""

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from more_repro.engine.batching.token_pairs import encode_sequences
from more_repro.engine.model import load_reward_model, save_reward_model, score
from more_repro.lm.tokenizers import make_tokenizer
from more_repro.records import Message
from more_repro.rendering import render_text
from tiny_models import tiny_config

LENGTH = 96
PROMPT = (Message("user", "Why is the sky blue?"),)
RESPONSES = [
    "Light is scattered by air, and blue light most of all.",
    "No.",
    "It holds <pad> and <eos>, which are words here: <pad><pad>",
    "It ends with the end: <eos>",
    "It ends with the padding: <pad>",
    "",
]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<eos>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module", params=["gpt_neox", "llama"])
def saved(request, tmp_path_factory):
    """Folder of a saved reward model, its tokenizer, the token sequences of RESPONSES, and our rewards of them."""
    tokenizer = make_tokenizer("bpe", [render_text(PROMPT, text) for text in RESPONSES], 320, LENGTH)
    torch.manual_seed(5)
    config = tiny_config(request.param, len(tokenizer))
    config.pad_token_id, config.eos_token_id = tokenizer.pad_token_id, tokenizer.eos_token_id
    folder = tmp_path_factory.mktemp("reward_model")
    save_reward_model(AutoModelForSequenceClassification.from_config(config), tokenizer, folder)
    sequences, rows, _ = encode_sequences([PROMPT] * len(RESPONSES), RESPONSES, tokenizer, LENGTH)
    ids = [line[:n].tolist() for line, n in zip(sequences.padded(rows), sequences.lengths[rows], strict=True)]
    return folder, tokenizer, ids, score(load_reward_model(folder), sequences)[rows]


def test_rewards_differ(saved):
    """Else every comparison below would hold for a model that reads nothing."""
    rewards = saved[3]
    assert rewards.unique().numel() == len(RESPONSES)
    assert float(rewards.std()) > 1e-2


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_standard_class_gives_our_rewards_with_padding_on_either_side(saved, side):
    folder, tokenizer, ids, ours = saved
    standard = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True).eval()
    assert standard.config.num_labels == 1
    batch = tokenizer.pad({"input_ids": ids}, padding_side=side, return_tensors="pt")
    with torch.no_grad():
        theirs = standard(**batch).logits[:, 0]
    assert (theirs - ours).abs().max() < 1e-5


def test_the_padding_token_is_never_content(saved):
    _, tokenizer, ids, _ = saved
    assert all(tokenizer.pad_token_id not in row for row in ids)
    assert all(row.count(tokenizer.eos_token_id) == 1 and row[-1] == tokenizer.eos_token_id for row in ids)


def test_the_pipeline_gives_our_rewards_of_plain_transcripts(saved):
    folder, _, _, ours = saved
    classify = pipeline("text-classification", model=str(folder), function_to_apply="none", device="cpu")
    # The pipeline reads special tokens in a text as such, and so the end is written as one.
    texts = [render_text(PROMPT, response) + "<eos>" for response in RESPONSES[:2]]
    theirs = [found["score"] for found in classify(texts, batch_size=2)]
    assert theirs == pytest.approx(ours[:2].tolist(), abs=1e-5)


def test_a_saved_model_keeps_the_rendering_it_was_trained_with(saved, tmp_path):
    folder, tokenizer, _, _ = saved
    assert AutoTokenizer.from_pretrained(folder).chat_template is None
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = CHATML
    save_reward_model(load_reward_model(folder), tokenizer, tmp_path)
    classify = pipeline("text-classification", model=str(tmp_path), function_to_apply="none", device="cpu")
    dialogue = [{"role": "user", "content": PROMPT[0].content}, {"role": "assistant", "content": RESPONSES[0]}]
    theirs = classify(classify.tokenizer.apply_chat_template(dialogue, tokenize=False))[0]["score"]
    sequences, _, _ = encode_sequences([PROMPT], RESPONSES[:1], AutoTokenizer.from_pretrained(tmp_path), LENGTH)
    assert theirs == pytest.approx(float(score(load_reward_model(tmp_path), sequences)), abs=1e-5)


@pytest.mark.slow
def test_trl_loads_the_model_and_its_forward_gives_our_rewards(saved, tmp_path):
    trl, datasets = pytest.importorskip("trl"), pytest.importorskip("datasets")
    folder, _, ids, ours = saved
    pairs = datasets.Dataset.from_dict({"chosen_ids": ids[:3], "rejected_ids": ids[3:]})
    arguments = trl.RewardConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, max_length=None, report_to="none",
        activation_checkpointing=False,
    )  # fmt: skip
    trainer = trl.RewardTrainer(model=str(folder), args=arguments, train_dataset=pairs)
    batch = trainer.data_collator([trainer.train_dataset[number] for number in range(3)])
    with torch.no_grad():
        theirs = trainer.model.eval()(**batch).logits[:, 0]
    assert (theirs - ours).abs().max() < 1e-5
