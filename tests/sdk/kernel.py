"""A kernel that runs, with a model server behind it, and what it says of its processes."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

from model_server import ModelServer

AOSK = os.environ["AOSK"]

# One micro-dollar for a token that is read, two for one that is written, none for one from the cache.
PRICES = [
    {"provider": provider, "id": id, "context": 100_000, "output_max": 4_096, "capabilities": ["tools", "schema"],
     "input": 1_000_000, "cache_read": 0, "output": 2_000_000, "as_of": "2026-11-01"}
    for provider, id in (
        ("openai", "chat-one"), ("anthropic", "messages-one"), ("openai", "responses-one"),
    )
]

CONFIG = """
api_keys:
  openai: "${{HOUSE_KEY}}"
  anthropic: "${{HOUSE_KEY}}"
llms:
  models:
    - {{name: chat-one, backend: openai, base_url: "{url}/v1"}}
    - {{name: messages-one, backend: anthropic, base_url: "{url}"}}
    - {{name: responses-one, backend: openai-responses, base_url: "{url}/v1"}}
    - {{name: gone, backend: openai, base_url: "http://127.0.0.1:9/v1"}}
groups:
  poor:
    calls: 1
    when_over: stop
"""

CHAT, MESSAGES, RESPONSES = "openai:chat-one", "anthropic:messages-one", "openai-responses:responses-one"
HOUSE_KEY = "a-key-of-the-house"


class Kernel:
    """`aosk serve` on a directory of its own."""

    def __init__(self):
        self.models = ModelServer()
        self.folder = tempfile.TemporaryDirectory()
        home = Path(self.folder.name)
        (home / "config.yaml").write_text(CONFIG.format(url=self.models.url))
        (home / "models.json").write_text(json.dumps({"models": PRICES}))
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "HOUSE_KEY": HOUSE_KEY,
            "AOSK_DATA_DIR": str(home / "data"), "AOSK_CONFIG": str(home / "config.yaml"),
        }
        self.log = open(home / "log", "wb")
        self.process = subprocess.Popen(
            [AOSK, "serve", "--listen", "127.0.0.1:0", "--json"],
            env=self.environment, stdout=subprocess.PIPE, stderr=self.log, text=True,
        )
        line = self.process.stdout.readline()
        listening = json.loads(line or "{}")
        if "tcp" not in listening:
            raise RuntimeError(line + (home / "log").read_text())
        self.url = listening["tcp"]
        self.token = self.make_token("operator")

    def aosk(self, *arguments):
        """What the command line says, as JSON."""
        words = [AOSK, *arguments, "--json"]
        said = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=60)
        if said.returncode != 0:
            raise RuntimeError(f"{words}: {said.stderr}")
        return json.loads(said.stdout)

    def make_token(self, role, *more):
        return self.aosk("token", "create", "--role", role, *more)["token"]

    def processes(self):
        """All processes that were ever begun, by pid."""
        return {one["pid"]: one for one in self.aosk("ps", "--all")}

    def show(self, pid):
        return self.aosk("show", str(pid))

    def until(self, what, holds):
        """Waits until something holds of a process that is committed meanwhile: asks for it again and
        again, since the kernel tells nobody outside of its streams."""
        waited = threading.Event()
        for _ in range(600):
            found = holds()
            if found:
                return found
            waited.wait(0.1)
        raise AssertionError(f"waited for {what} in vain")

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.log.close()
        self.models.close()
        self.folder.cleanup()
        assert status == 0, f"the kernel ended with {status}"


class KernelCase(unittest.TestCase):
    """A test with a kernel that all of its class share."""

    @classmethod
    def setUpClass(cls):
        cls.kernel = Kernel()
        cls.addClassCleanup(cls.kernel.close)
        cls.models = cls.kernel.models
        cls.base_url = cls.kernel.url + "/v1"

    def setUp(self):
        self.models.forget()
        self.before = set(self.kernel.processes())

    def asked(self, count=1):
        """What the models were asked, once they were asked so often."""
        found = self.models.wait_for(count)
        self.assertEqual(len(found), count, [one.body for one in found])
        return found

    def new_processes(self):
        found = self.kernel.processes()
        return [self.kernel.show(pid) for pid in found if pid not in self.before]

    def rest(self):
        """Waits until the kernel has written down what was answered, which a client hears before that."""
        def all_rest():
            # What is shown here is what is committed.
            return all(one["state"] == "program" for one in self.kernel.processes().values() if not one["status"])

        self.kernel.until("the answers to be written down", all_rest)

    def check_calls(self, calls, processes=1):
        """The kernel saw so many calls of so many conversations, and the model server as many calls, of the
        same figures."""
        self.rest()
        asked, found = self.asked(calls), self.new_processes()
        self.assertEqual(sum(one["model_calls"] for one in found), calls)
        self.assertEqual(sum(one["input_tokens"] for one in found), sum(20 + one.messages for one in asked))
        self.assertEqual([one["label"] for one in found], ["gateway"] * processes)
        return found
