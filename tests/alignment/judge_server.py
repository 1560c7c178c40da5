"""A stand-in for a chat endpoint on 127.0.0.1: it judges by a rule, counts what it is asked, and fails on demand."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Respond = Callable[[int, dict[str, Any]], "Answer"]


@dataclass(frozen=True)
class Answer:
    """drop: close the connection without a word. body: sent as it is, else a completion that says `text`."""

    text: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    drop: bool = False
    finish_reason: str = "stop"
    usage: dict[str, Any] | None = None


def places_of(request: dict[str, Any]) -> tuple[str, str]:
    """The two responses of a request."""
    text = request["messages"][-1]["content"]
    code = re.match(r"The code of the marks is (\w+)\.", text).group(1)
    parts = [re.search(rf"\[response {p} {code}\]\n(.*?)\n\[end of", text, re.DOTALL).group(1) for p in "AB"]
    return parts[0], parts[1]


def prefer_longer(number: int, request: dict[str, Any]) -> Answer:
    first, second = places_of(request)
    winner = "tie" if len(first) == len(second) else "A" if len(first) > len(second) else "B"
    return Answer(f"By length.\nVerdict: {winner}")


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, respond: Respond) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.respond = respond
        self.lock = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.at_once = self.most_at_once = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def bodies(self) -> list[str]:
        return [json.dumps(request, sort_keys=True) for request in self.requests]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        server = self.server
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.requests.append(request)
            server.keys.add(self.headers["Authorization"])
            number = len(server.requests)
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            self._send(server.respond(number, request))
        finally:
            with server.lock:
                server.at_once -= 1

    def _send(self, answer: Answer) -> None:
        if answer.drop:
            self.close_connection = True
            self.connection.close()
            return
        message = {"role": "assistant", "content": answer.text}
        completion = {
            "id": "1", "object": "chat.completion", "created": 1, "model": "stub", "usage": answer.usage,
            "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        }  # fmt: skip
        error = {"error": {"message": answer.text, "code": None}}
        body = answer.body if answer.body is not None else json.dumps(error if answer.status >= 400 else completion)
        data = body if isinstance(body, bytes) else body.encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(respond: Respond = prefer_longer) -> Iterator[Server]:
    server = Server(respond)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
