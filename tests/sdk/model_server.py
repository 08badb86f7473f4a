"""A model server that does what it is told, so that every expectation is exact.

It speaks chat completions, Messages and Responses, and makes vectors. What it does stands in double brackets in the last
message of the person who asks, wherever a framework may have put it:

    [[say: two words]]          answers so
    [[call: name {...}; ...]]   calls tools, and tells their results in the next turn
    [[json: {...}]]             answers with this, if a form of JSON was asked for
    [[form: tool]]              answers by calling the only tool with the rest of the message
    [[status: 429]]             refuses so; [[status: 429 once]] only the first time
    [[hang]]                    begins an answer, and goes on when it is told or the client is gone
    [[silent]]                  says nothing until then
    [[cut]]                     begins an answer and breaks it off
"""

import itertools
import json
import re
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import formats

COMMAND = re.compile(r"\[\[(\w+)(?:: ?(.*?))?\]\](?!\])", re.DOTALL)


class Answer:
    """What the model says: a text, or calls of tools as (id, name, arguments)."""

    numbers = itertools.count(1)

    def __init__(self, asked, text="", calls=()):
        # Clients tell answers apart by their ids.
        self.number = next(self.numbers)
        self.text = text
        self.calls = list(calls)
        self.input = 20 + asked.messages
        self.cached = 8
        self.output = len(text.split()) + 5 * len(self.calls)

    @property
    def pieces(self):
        """The text as it is streamed: word by word."""
        return re.findall(r"\s*\S+\s*$|\s*\S+", self.text)


def call_id(numbers=itertools.count(1)):
    """An id that no other call has."""
    return f"call_{next(numbers)}"


class Asked:
    """A request as it came, and what became of it."""

    def __init__(self, path, headers, body):
        self.path = path
        self.headers = headers
        self.body = body
        self.model = body.get("model")
        self.stream = bool(body.get("stream"))
        self.format = formats.of(path)
        self.messages = self.format.count(body)
        self.ended = threading.Event()
        self.outcome = None
        self.released = socket.socketpair()

    def release(self):
        """Lets an answer that hangs go on."""
        self.released[0].send(b"x")

    def end(self, outcome):
        self.outcome = outcome
        self.ended.set()


class ModelServer:
    """A server on a port of its own, and what it was asked."""

    def __init__(self):
        self.asked = []
        self.arrived = threading.Condition()
        handler = type("Handler", (Handler,), {"server_of": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, asked):
        with self.arrived:
            self.asked.append(asked)
            self.arrived.notify_all()

    def wait_for(self, count):
        """The requests, once there are so many."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.asked) >= count, timeout=60), self.asked
            return self.asked[:]

    def forget(self):
        with self.arrived:
            self.asked.clear()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def answer_to(asked):
    """What the model does: a word for what, and the answer or whatever it needs."""
    results = asked.format.results(asked.body)
    if results:
        return "answer", Answer(asked, "the tools say " + " and ".join(results))
    said = asked.format.last_of_user(asked.body)
    found = COMMAND.findall(said)
    if not found:
        return "answer", Answer(asked, "nothing was asked")
    word, rest = found[-1]
    if word in ("say", "json"):
        if word == "json" and not asked.format.wants_json(asked.body):
            return "status", 418
        return "answer", Answer(asked, rest)
    if word == "call":
        calls = [part.strip().partition(" ") for part in rest.split(";")]
        calls = [(call_id(), name, given) for name, _, given in calls]
        return "answer", Answer(asked, "", calls)
    if word == "form":
        name = asked.format.tools(asked.body)[-1]
        return "answer", Answer(asked, "", [(call_id(), name, rest)])
    return word, rest


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_of = None

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.whole(404, {"error": {"message": "there is nothing here"}})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked = Asked(self.path, dict(self.headers), body)
        same = sum(1 for one in self.server_of.asked if one.body == body)
        self.server_of.take(asked)
        word, what = answer_to(asked)
        try:
            self.act(asked, word, what, same)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            asked.end("left")

    def act(self, asked, word, what, same):
        if word == "status":
            status, _, once = str(what).partition(" ")
            if once and same > 0:
                return self.answer(asked, Answer(asked, "this time"))
            self.refuse(asked, int(status))
        elif word == "vectors":
            self.whole(200, asked.format.vectors(asked.body))
            asked.end("answered")
        elif word == "silent":
            self.wait(asked)
            if not asked.ended.is_set():
                self.answer(asked, Answer(asked, "at last"))
        elif word == "hang":
            self.stream(asked, Answer(asked, "well then here it is"), hold=True)
        elif word == "cut":
            self.stream(asked, Answer(asked, "well then here it is"), cut=True)
        else:
            self.answer(asked, what)

    def answer(self, asked, answer):
        if asked.stream:
            return self.stream(asked, answer)
        self.whole(200, asked.format.whole(asked.model, answer))
        asked.end("answered")

    def refuse(self, asked, status):
        extra = {"retry-after-ms": "10"} if status == 429 else {}
        self.whole(status, asked.format.error(status), extra)
        asked.end(f"refused with {status}")

    def whole(self, status, body, headers=None):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def stream(self, asked, answer, hold=False, cut=False):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        begun = 0
        for event, data in asked.format.events(asked.model, answer, asked.body):
            text = data if isinstance(data, str) else json.dumps(data)
            name = f"event: {event}\n" if event else ""
            self.wfile.write(f"{name}data: {text}\n\n".encode())
            self.wfile.flush()
            begun += formats.is_piece(data)
            if begun == 1 and cut:
                return asked.end("cut")
            if begun == 1 and hold:
                hold = False
                self.wait(asked)
                if asked.ended.is_set():
                    return None
        return asked.end("answered")

    def wait(self, asked):
        """Until it is told to go on, or the client is gone."""
        ready, _, _ = select.select([self.connection, asked.released[1]], [], [], 60)
        if self.connection in ready:
            self.close_connection = True
            asked.end("left")
