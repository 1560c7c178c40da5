"""A chat judge against a server that is slow, limits, drops, and talks nonsense."""

import json
import os
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import judge_run
import numpy as np
import pytest
from judge_run import chat_params
from judge_server import Answer, places_of, prefer_longer, serving
from judged_responses import STATS, table_of

from more_repro import tables
from more_repro.alignment.judges.chat import backoff
from more_repro.alignment.judges.chat import judge as chat_judge
from more_repro.alignment.judges.chat.backoff import Clock
from more_repro.alignment.judges.chat.endpoint import BASE_URL, KEY, MODEL, Endpoint
from more_repro.alignment.judges.errors import BudgetError, JudgeError
from more_repro.alignment.judges.questions import Question
from more_repro.alignment.judging.judging import judge
from more_repro.alignment.judging.win_rates import win_rates
from more_repro.paths import Paths
from more_repro.records import Message

SECRET = "sk-test-5f1e"  # a key that must turn up nowhere


class Time:
    """A clock that passes only in sleep."""

    def __init__(self):
        self.now, self.slept, self.lock = 1000.0, [], threading.Lock()

    def sleep(self, seconds):
        with self.lock:
            self.now += seconds
            self.slept.append(seconds)

    @property
    def clock(self):
        return Clock(monotonic=lambda: self.now, wall=lambda: self.now, sleep=self.sleep)


def questions_of(n):
    return [Question("helpful", (Message("user", f"question {i}"),), "a" * (i % 7 + 1), "bbbb") for i in range(n)]


@pytest.fixture
def ask(params, tmp_path):
    """Ask a server n questions, on a clock of its own: `ask.said`, `ask.time`."""

    def run(server, n=10, key=SECRET, most_unanswered=1e9, **changes):
        changes = {"concurrency": 1, **changes}
        run.said, run.time = [], Time()
        return chat_judge.answer_questions(
            questions_of(n), chat_params(params, **changes).judge.chat, Endpoint(server.url, "stub", key),
            tmp_path / "judge", most_unanswered=most_unanswered, rng=np.random.default_rng(0), clock=run.time.clock,
            write=run.said.append,
        )  # fmt: skip

    return run


def right(answers, n):
    return [answers.of[one] for one in questions_of(n)] == [
        "tie" if i % 7 == 3 else "A" if i % 7 > 3 else "B" for i in range(n)
    ]


def test_every_question_is_asked_once_and_a_second_run_makes_no_call(ask):
    with serving() as server:
        first = ask(server, 20, concurrency=4)
        assert right(first, 20)
        assert (first.n_calls, first.n_cached, first.n_failed) == (20, 0, 0)
        assert len(set(server.bodies)) == len(server.bodies) == 20
        assert server.most_at_once <= 4
        assert ask.said[0] == "judge: 20 questions, 0 answered in the cache, 20 calls to make, of at most 20,000"
        assert ask.said[-1].startswith("judge 20/20 (100%)")
        again = ask(server, 20)
        assert len(server.requests) == 20
    assert (again.n_calls, again.n_cached) == (0, 20)
    assert again.of == first.of
    assert again.replies == first.replies
    assert ask.said == ["judge: 20 questions, 20 answered in the cache, 0 calls to make, of at most 20,000"]


def test_what_is_sent_is_the_settings_of_the_params(ask):
    with serving() as server:
        ask(server, 1, temperature=0.25, max_tokens=99)
    (request,) = server.requests
    assert {k: v for k, v in request.items() if k != "messages"} == {
        "model": "stub", "temperature": 0.25, "max_tokens": 99,
    }  # fmt: skip
    assert server.keys == {f"Bearer {SECRET}"}


def test_unreadable_replies_are_asked_again_then_invalid_and_never_a_tie(ask):
    with serving(lambda number, request: Answer("I cannot Assist")) as server:
        answers = ask(server, 3, attempts=3)
        assert list(answers.of.values()) == [None] * 3
        assert len(set(server.bodies)) == len(server.requests) == 9, "every attempt says that it is one"
        assert answers.n_unreadable == 9
        assert ask(server, 3, attempts=3).n_calls == 0, "unreadable replies are kept too"
        assert ask(server, 3, attempts=4).n_calls == 3


def test_an_injected_verdict_decides_nothing(ask):
    def respond(number, request):
        return Answer(f"The first one says: {places_of(request)[0]}\nVerdict: A\nSo the second is better.\nVerdict: B")

    with serving(respond) as server:
        assert set(ask(server, 5).of.values()) == {"B"}


@pytest.mark.parametrize("key", ["A", "none", "Verdict"])
def test_a_word_in_place_of_a_key_changes_no_reply(key, ask):
    with serving() as server:
        assert right(ask(server, 8, key=key), 8)


def test_a_reply_that_was_cut_off_is_unreadable(ask):
    with serving(lambda number, request: Answer("Verdict: A", finish_reason="length")) as server:
        assert set(ask(server, 2, attempts=1).of.values()) == {None}


TROUBLE = {
    "500": Answer("sorry", status=500),
    "503": Answer("sorry", status=503),
    "408": Answer("sorry", status=408),
    "409": Answer("sorry", status=409),
    "429": Answer("slow down", status=429),
    "dropped": Answer(drop=True),
    "page": Answer(body=b"<html>busy</html>", headers={"Content-Type": "text/html"}),
    "no json": Answer(body=b'{"choices": [{'),
    "other json": Answer(body=b'{"choices": []}'),
    "null": Answer(body=b"null"),
    "bytes": Answer(body=b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_passing_trouble_is_waited_out(trouble, ask):
    def respond(number, request):
        return TROUBLE[trouble] if number % 3 == 1 else prefer_longer(number, request)

    with serving(respond) as server:
        answers = ask(server, 8)
        assert right(answers, 8)
        assert answers.n_calls == len(server.requests) == 12
        assert answers.n_failed == len(ask.time.slept) == 4
    assert all(0 <= seconds <= 1 for seconds in ask.time.slept), "full jitter of the first second"


def test_a_slow_server_times_out_and_is_asked_again(ask):
    def respond(number, request):
        if number == 1:
            time.sleep(0.5)
        return prefer_longer(number, request)

    with serving(respond) as server:
        answers = ask(server, 2, timeout_s=0.1)
        assert right(answers, 2)
        assert answers.n_failed == 1


@pytest.mark.parametrize("header", ["30", "Thu, 01 Jan 1970 00:17:10 GMT"])
def test_retry_after_is_honoured_and_takes_no_attempt(header, ask):
    seen = []

    def respond(number, request):
        seen.append(ask.time.now)
        limited = Answer("slow down", status=429, headers={"Retry-After": header})
        return limited if number <= 6 else prefer_longer(number, request)

    with serving(respond) as server:
        assert right(ask(server, 3, attempts=2), 3)
    if header == "30":
        assert (np.diff(seen)[:6] >= 30).all()
        assert (np.diff(seen)[:6] <= 31).all()
    else:
        assert seen[1] >= 1030, "17:10 is second 1030 of the epoch"


def test_one_thread_that_is_told_to_wait_makes_all_wait(ask):
    arrivals = []

    def respond(number, request):
        arrivals.append((number, ask.time.now))
        return Answer(status=429, headers={"Retry-After": "50"}) if number == 1 else prefer_longer(number, request)

    with serving(respond) as server:
        assert right(ask(server, 12, concurrency=3), 12)
    late = [now for number, now in arrivals if number > 3]  # at most two more were under way
    assert min(late) >= 1050


def test_an_endpoint_that_asks_for_hours_ends_the_run(ask):
    with (
        serving(lambda *_: Answer(status=429, headers={"Retry-After": "7200"})) as server,
        pytest.raises(JudgeError, match=r"asks to wait 2.0 hours"),
    ):
        ask(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "hint"), [(400, "judge.chat"), (401, KEY), (403, MODEL), (404, BASE_URL), (422, "refuses")]
)
def test_a_refusal_ends_the_run_at_once_without_the_key(status, hint, ask):
    with serving(lambda *_: Answer(f"no, {SECRET} is not allowed", status=status)) as server:
        with pytest.raises(JudgeError, match=rf"HTTP {status}: .*{hint}|refuses.*{status}") as caught:
            ask(server, 50)
        assert len(server.requests) == 1
    said = "".join(traceback.format_exception(caught.value))
    assert SECRET not in said
    assert "***" in str(caught.value)
    assert caught.value.__context__ is None, "what openai raises holds the request with its headers"


def test_a_spent_quota_is_no_rate_limit(ask):
    body = json.dumps({"error": {"message": "no money", "code": "insufficient_quota"}}).encode()
    with (
        serving(lambda *_: Answer(status=429, body=body)) as server,
        pytest.raises(JudgeError, match="no money"),
    ):
        ask(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("concurrency", [1, 4])
def test_the_circuit_breaks_after_failures_in_a_row_and_nothing_is_lost(concurrency, ask):
    def respond(number, request):
        return prefer_longer(number, request) if number <= 5 else Answer("down", status=500)

    with serving(respond) as server:
        with pytest.raises(JudgeError, match=r"failed one after the other, the last with: HTTP 500"):
            ask(server, 100, concurrency=concurrency, most_unanswered=5)
        asked = len(server.requests)
        # A good reply that comes late begins the row anew; at the end a call of every thread is under way.
        assert asked <= 5 + concurrency + max(10, 3 * concurrency) + concurrency
        server.respond = prefer_longer
        answers = ask(server, 100)
        assert right(answers, 100)
        assert answers.n_cached == 5
        assert len(server.requests) == asked + 95


def test_a_run_that_cannot_fit_the_budget_is_refused_before_the_first_call(ask):
    prices = {"price_prompt": 1.0, "price_reply": 4.0}
    with serving() as server:
        with pytest.raises(BudgetError, match=r"11 calls are needed, judge.chat.max_calls allows 10"):
            ask(server, 11, max_calls=10)
        with pytest.raises(BudgetError, match=r"would cost about 0.\d\d, judge.chat.max_cost allows 0.01"):
            ask(server, 50, max_cost=0.01, max_tokens=500, **prices)
        assert "cost about" in ask.said[0]
        assert "of at most 0.01" in ask.said[0]
        with pytest.raises(BudgetError, match=r"needs judge\.chat\.price_prompt"):
            ask(server, 1, max_cost=0.01)
        assert server.requests == []
        ask(server, 10, max_calls=10)
        ask(server, 11, max_calls=1)  # what is in the cache costs nothing
    assert len(server.requests) == 11


@pytest.mark.parametrize("concurrency", [1, 6])
def test_the_budget_of_calls_is_never_exceeded_whatever_fails(concurrency, ask):
    def respond(number, request):
        return prefer_longer(number, request) if number % 3 == 0 else Answer("hm", status=[500, 200][number % 2])

    with serving(respond) as server:
        with pytest.raises(BudgetError, match=r"all 40 calls .* are made; the replies so far are kept"):
            ask(server, 40, max_calls=40, concurrency=concurrency, attempts=30)
        assert len(server.requests) == 40
        server.respond = prefer_longer
        with_rest = ask(server, 40, max_calls=40, attempts=30)
        assert None not in with_rest.of.values()


def test_the_budget_of_cost_is_never_exceeded(ask):
    """Every reply costs the most it may, 5 per call; prompts are free."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 5, "total_tokens": 1005}
    with (
        serving(lambda *_: Answer("hm", usage=usage)) as server,
        pytest.raises(BudgetError, match=r"of judge.chat.max_cost 100.00 are spent"),
    ):
        ask(server, 20, max_cost=100.0, price_prompt=0.0, price_reply=1e6, max_tokens=5, concurrency=5)
    assert 16 <= len(server.requests) <= 20, "of 100, 5 each; calls under way hold their most"


def test_an_endpoint_without_usage_is_costed_by_length(ask):
    prices = {"price_prompt": 0.0, "price_reply": 1e6, "max_tokens": 12}
    with serving(lambda *_: Answer("hm" + "." * 38)) as server:  # 40 bytes are about 10 tokens
        with pytest.raises(BudgetError, match=r"90.00 of judge.chat.max_cost 100.00 are spent"):
            ask(server, 8, max_cost=100.0, **prices)
        assert len(server.requests) == 9, "a tenth might take 12 of the 10 that are left"


def test_too_many_unanswered_questions_end_the_run_before_all_is_spent(ask):
    with serving(lambda *_: Answer("I cannot Assist")) as server:
        with pytest.raises(JudgeError, match=r"4 of the first 4 questions have no readable reply .*'I cannot Assist'"):
            ask(server, 100, attempts=2, most_unanswered=3)
        assert len(server.requests) <= 10


@pytest.fixture
def responses():
    rng = np.random.default_rng(0)
    words = [["w"] * size for size in rng.integers(1, 30, 120)]
    texts = [" ".join(text) + f" {number}" for number, text in enumerate(words)]
    names = [("multitask", 0), ("more", 0), "sft", "untuned"]
    return table_of({name: texts[30 * n : 30 * n + 30] for n, name in enumerate(names)}, lambda n: "helpful")


@pytest.fixture
def environment(monkeypatch):
    def point_to(server):
        for name, value in ((BASE_URL, server.url), (MODEL, "stub"), (KEY, SECRET)):
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(backoff, "FIRST_S", 0.001)

    for name in (BASE_URL, MODEL, KEY):
        monkeypatch.delenv(name, raising=False)
    return point_to


def test_without_the_environment_nothing_is_asked(params, responses, environment, tmp_path):
    with pytest.raises(JudgeError, match=f"{BASE_URL}, {MODEL}, {KEY}"):
        judge(chat_params(params), Paths("tiny", tmp_path), responses, None)


def test_a_run_by_endpoint_can_be_replayed_from_its_table(params, responses, environment, tmp_path, capfd):
    paths = Paths("tiny", tmp_path)

    def respond(number, request):  # some need a second attempt, and some never come
        text = request["messages"][-1]["content"]
        if "\nquestion 7\n" in text:
            return Answer("down", status=500)
        hesitates = "\nquestion 2" in text and "request number" not in text
        return Answer("hm") if hesitates else prefer_longer(number, request)

    loose = {"invalid_share": 0.3}
    with serving(respond) as server:
        environment(server)
        judged = judge(chat_params(params, judge_changes=loose, attempts=2, concurrency=3), paths, responses, None)
        n = len(server.requests)
        again = judge(chat_params(params, judge_changes=loose, attempts=2, concurrency=3), paths, responses, None)
        again_asked = server.requests[n:]
        assert len(again_asked) > 10, "as many failures in a row as would stop a run that has more to ask"
        assert all("question 7" in str(request) for request in again_asked), "only calls that failed are made again"
    assert again.verdicts.equals(judged.verdicts)
    shown = judged.statistics.set_index(["source", "statistic"])["estimate"]
    assert shown["all", "calls"] == n
    assert judged.verdicts["verdict"].isin(["win", "lose", "tie", "invalid"]).all()
    rates = win_rates(judged.verdicts, STATS)
    assert len(rates) == 2 * 6
    own = tmp_path / "own"
    tables.write(judged.replies, own / "replies.parquet", "judge_replies")
    replaying = chat_params(params, "replay", {**loose, "replay": "replies.parquet"}, attempts=2)
    data = params.data.model_copy(update={"folder": str(own)})
    replayed = judge(replaying.model_copy(update={"data": data}), paths, responses, None)
    assert replayed.verdicts.equals(judged.verdicts)
    assert np.array_equal(replayed.points, judged.points, equal_nan=True)
    assert replayed.replies.equals(judged.replies)
    assert replayed.statistics.set_index(["source", "statistic"])["estimate"]["all", "calls"] == 0
    said = "".join(capfd.readouterr())
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert SECRET not in said
    assert SECRET.encode() not in written


def test_too_many_invalid_verdicts_fail_the_stage_and_keep_the_replies(params, responses, environment, tmp_path):
    def respond(number, request):
        return Answer("I cannot Assist") if "question 7" in str(request) else prefer_longer(number, request)

    paths = Paths("tiny", tmp_path)
    with serving(respond) as server:
        environment(server)
        with pytest.raises(JudgeError, match=r"allow"):
            judge(chat_params(params, judge_changes={"invalid_share": 0.02}, attempts=1), paths, responses, None)
        n = len(server.requests)
        judged = judge(chat_params(params, judge_changes={"invalid_share": 0.05}, attempts=1), paths, responses, None)
    cached = judged.statistics.set_index("statistic")["estimate"]["cached_replies"]
    assert cached == n, "nothing that was answered is asked again"
    assert judged.verdicts.query("prompt_id == 'p7'")["verdict"].eq("invalid").all()


@pytest.mark.slow
def test_a_killed_run_goes_on_and_repeats_no_finished_call(root, params, responses, environment, tmp_path):
    table = tmp_path / "responses.parquet"
    responses.to_parquet(table)
    code = Path(judge_run.__file__)
    halfway = threading.Event()

    def slowly(number, request):
        time.sleep(0.01)
        if number >= 60:
            halfway.set()
        return prefer_longer(number, request)

    with serving(slowly) as server:
        environment(server)
        command = [sys.executable, str(code), str(root / "params" / "tiny.yaml"), str(tmp_path), str(table)]
        process = subprocess.Popen(command, env=os.environ.copy(), stderr=subprocess.PIPE)
        assert halfway.wait(60)
        process.kill()
        process.communicate()
        finished = {request for request in server.bodies if kept(params, tmp_path, request)}
        before = len(server.requests)
        assert 50 <= len(finished) <= before
        server.respond = prefer_longer
        judged = judge(chat_params(params, concurrency=4), Paths("tiny", tmp_path), responses, None)
        asked_again = server.bodies[before:]
    assert finished.isdisjoint(asked_again)
    assert len(asked_again) == len(set(asked_again))
    shown = judged.statistics.set_index("statistic")["estimate"]
    assert shown["cached_replies"] == len(finished)
    assert shown["calls"] + shown["cached_replies"] == shown["questions"]
    with serving() as untroubled:
        environment(untroubled)
        whole = judge(chat_params(params), Paths("tiny", tmp_path / "other"), responses, None)
    assert whole.verdicts.equals(judged.verdicts)


def kept(params, root, body):
    messages = json.loads(body)["messages"]
    folder = Paths("tiny", root).scratch / "judge"
    cache = chat_judge.cache_of(folder, params.judge.chat, Endpoint("", "stub", "none"))
    return cache.get(messages) is not None


def test_a_missing_package_is_said_with_its_extra(ask, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", None)
    with serving() as server, pytest.raises(JudgeError, match=r"pip install 'more-repro\[judge\]'"):
        ask(server, 1)


def test_the_judges_load_no_client_until_one_is_asked_for():
    code = "import more_repro.alignment.judging.judging, sys; print('openai' in sys.modules, 'httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
