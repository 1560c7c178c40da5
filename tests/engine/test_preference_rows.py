import pytest
from preference_files import write_base
from transformers import AutoTokenizer

from more_repro.engine.batching.preference_rows import encode_rows
from more_repro.lm.encoding import encode_prompts, encode_responses
from more_repro.records import Message

TEMPLATE = (
    "{% for message in messages %}{{ '[' + message['role'] + '] ' + message['content'] + ' <eos> ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '[assistant] ' }}{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return AutoTokenizer.from_pretrained(write_base(tmp_path_factory.mktemp("base")))


def tokens(encoded, rows):
    return [encoded.pairs.sequences.padded(row[None])[0].tolist() for row in rows]


def sides(encoded):
    return tokens(encoded, encoded.pairs.chosen) + tokens(encoded, encoded.pairs.rejected)


def said(role, content):
    return {"role": role, "content": content}


def test_text_is_read_as_a_tokenizer_reads_prompt_and_side_with_eos(tokenizer):
    explicit = {"prompt": "w1 w2", "chosen": " w3", "rejected": " w4 w5"}
    implicit = {"chosen": "w1 w2 w3", "rejected": "w1 w2 w4 w5"}
    ended = {"prompt": "w1 w2", "chosen": " w3<eos>", "rejected": " w4 w5"}
    expected = [tokenizer(text + tokenizer.eos_token)["input_ids"] for text in ("w1 w2 w3", "w1 w2 w4 w5")]
    for row in (explicit, implicit, ended):
        assert sides(encode_rows([row], tokenizer, 64, "rows")) == expected


def test_a_special_token_spelled_in_a_text_stays_text(tokenizer):
    encoded = encode_rows([{"chosen": "w1 <pad> <eos> w2", "rejected": "w3"}], tokenizer, 64, "rows")
    (chosen,) = tokens(encoded, encoded.pairs.chosen)
    assert tokenizer.pad_token_id not in chosen
    assert chosen.count(tokenizer.eos_token_id) == 1


def test_messages_are_read_as_the_study_reads_them(tokenizer):
    prompt = [said("user", "w1"), said("assistant", "w2"), said("user", "w3")]
    explicit = {"prompt": prompt, "chosen": [said("assistant", "w4")], "rejected": [said("assistant", "w5")]}
    implicit = {"chosen": [*prompt, said("assistant", "w4")], "rejected": [*prompt, said("assistant", "w5")]}
    messages = tuple(Message(message["role"], message["content"]) for message in prompt)
    (opened,) = encode_prompts(tokenizer, [messages])
    expected = [opened + answer for answer in encode_responses(tokenizer, ["w4", "w5"])]
    for row in (explicit, implicit):
        assert sides(encode_rows([row], tokenizer, 64, "rows")) == expected


def test_dialogues_may_differ_before_their_last_answer(tokenizer):
    row = {
        "chosen": [said("user", "w1"), said("assistant", "w2"), said("user", "w3"), said("assistant", "w4")],
        "rejected": [said("user", "w1"), said("assistant", "w9")],
    }
    chosen, rejected = sides(encode_rows([row], tokenizer, 64, "rows"))
    assert len(chosen) > len(rejected) > 0


def test_a_chat_template_is_used_where_the_tokenizer_has_one(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    templated = AutoTokenizer.from_pretrained(tmp_path)
    templated.chat_template = TEMPLATE
    dialogue = [said("user", "w1"), said("assistant", "w2")]
    encoded = encode_rows(
        [{"chosen": dialogue, "rejected": [*dialogue[:1], said("assistant", "w3")]}], templated, 64, "r"
    )
    (chosen,) = tokens(encoded, encoded.pairs.chosen)
    expected = templated.apply_chat_template(dialogue, tokenize=True, return_dict=False)
    assert chosen == expected


def test_left_out_and_cut_rows_are_counted(tokenizer):
    rows = [
        {"chosen": "w1 w2 w3", "rejected": "w4 w2 w3"},
        {"prompt": "w1", "chosen": " ", "rejected": "w4"},
        {"prompt": [said("user", "w1")], "chosen": [], "rejected": [said("assistant", "w1")]},
        {"chosen": "w1", "rejected": "w2"},
    ]
    encoded = encode_rows([rows[0], rows[1], rows[3]], tokenizer, 3, "rows")
    assert encoded.n_empty == 1
    assert encoded.pairs.pair_ids == ("0", "2")
    assert encoded.pairs.truncated.tolist() == [True, False]
    assert encoded.pairs.equal.tolist() == [True, False]
    with pytest.raises(ValueError, match="no row with something in chosen and in rejected, of 1 rows"):
        encode_rows([rows[1]], tokenizer, 64, "rows")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"chosen": "w1"}, r"rows, row 1: .*'rejected': 'NoneType'"),
        ({"prompt": 3, "chosen": "w1", "rejected": "w2"}, r"rows, row 1: .*'prompt': 'int'"),
        ({"chosen": [said("user", "w1")], "rejected": [said("assistant", "w2")]}, "row 1, chosen: the last message"),
        (
            {"chosen": [said("robot", "w1")], "rejected": [said("assistant", "w2")]},
            "row 1, chosen: a message has",
        ),
        ({"chosen": [said("assistant", None)], "rejected": [said("assistant", "w2")]}, "row 1, chosen: a message has"),
        ("w1", "row 1: expected chosen and rejected by name, found str"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tokenizer, row, message):
    with pytest.raises(ValueError, match=message):
        encode_rows([{"chosen": "w1", "rejected": "w2"}, row], tokenizer, 64, "rows")


def test_text_and_messages_do_not_mix(tokenizer):
    dialogue = {"chosen": [said("user", "w1"), said("assistant", "w2")], "rejected": [said("assistant", "w3")]}
    plain = {"chosen": "w1", "rejected": "w2"}
    empty = {"chosen": "", "rejected": "w2"}
    for rows in ([empty, plain, dialogue], [empty, dialogue, plain]):
        with pytest.raises(ValueError, match=r"rows: some rows are .* the first of these is row 2"):
            encode_rows(rows, tokenizer, 64, "rows")


def test_text_rendered_beforehand_is_counted(tokenizer):
    rows = [{"chosen": "w1 <pad> w2", "rejected": "w3"}, {"chosen": "w1<eos>", "rejected": "w2"}]
    assert encode_rows(rows, tokenizer, 64, "rows").n_markup == 1


def test_a_margin_is_refused(tokenizer):
    row = {"chosen": "w1", "rejected": "w2", "margin": 0.5}
    with pytest.raises(ValueError, match="rows, row 0: a margin is no part of this loss"):
        encode_rows([row], tokenizer, 64, "rows")
    assert encode_rows([{**row, "margin": None}], tokenizer, 64, "rows").pairs.pair_ids == ("0",)


@pytest.mark.parametrize("rows", [None, 3, "text", {"chosen": "w1"}])
def test_what_is_no_list_of_rows_is_named(tokenizer, rows):
    with pytest.raises(ValueError, match=f"train, a: expected rows, found {type(rows).__name__}"):
        encode_rows(rows, tokenizer, 64, "train, a")


REFUSES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TEMPLATE
THINKS = TEMPLATE.replace("'[assistant] ' }}{% endif", "'[assistant] <think>' }}{% endif")


def with_template(tokenizer, folder, template):
    tokenizer.save_pretrained(folder)
    found = AutoTokenizer.from_pretrained(folder)
    found.chat_template = template
    return found


def test_a_dialogue_that_a_template_cannot_show_is_named(tokenizer, tmp_path):
    good = [said("user", "w1"), said("assistant", "w2")]
    rows = [{"chosen": good, "rejected": [said("user", "w1"), said("assistant", "w3")]}]
    rows.append({"chosen": good, "rejected": [said("system", "w1"), *good]})
    with pytest.raises(ValueError, match=r"rows, row 1, rejected: the chat template refuses .*no system"):
        encode_rows(rows, with_template(tokenizer, tmp_path, REFUSES), 64, "rows")
    with pytest.raises(ValueError, match=r"rows: .*does not begin with the rendered prompt, which ends in .*<think>"):
        encode_rows(rows[:1], with_template(tokenizer, tmp_path, THINKS), 64, "rows")


def test_messages_need_a_template_or_an_end(tokenizer, tmp_path):
    row = {"chosen": [said("user", "w1"), said("assistant", "w2")], "rejected": [said("assistant", "w3")]}
    endless = with_template(tokenizer, tmp_path, None)
    endless.eos_token = None
    with pytest.raises(ValueError, match="rows: messages need a tokenizer with a chat template or an end"):
        encode_rows([row], endless, 64, "rows")
