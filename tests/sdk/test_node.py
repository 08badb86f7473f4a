"""The packages of npm: `openai` and `@anthropic-ai/sdk`."""

import json
import os
import subprocess
import unittest
from pathlib import Path

from kernel import CHAT, MESSAGES, RESPONSES, KernelCase

ALL = (CHAT, MESSAGES, RESPONSES)
CLIENT = Path(__file__).parent / "node" / "client.cjs"


class Node(KernelCase):
    def play(self, scene, model=CHAT):
        self.setUp()
        environment = {**os.environ, "KERNEL": self.kernel.url, "TOKEN": self.kernel.token}
        words = ["node", str(CLIENT), scene, model]
        said = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual(said.returncode, 0, said.stderr)
        return json.loads(said.stdout)

    def test_openai(self):
        for model in ALL:
            with self.subTest(model):
                said = self.play("chat", model)
                self.assertEqual(said["text"], "good day")
                self.assertEqual((said["usage"]["prompt_tokens"], said["usage"]["completion_tokens"]), (21, 2))
                self.check_calls(1)
                self.assertEqual(self.play("stream", model), ["one", " two", " three"])
                self.check_calls(1)
                self.assertEqual(self.play("tools", model), "the tools say sun in Rom and sun in Wien")
                self.check_calls(2)
                self.assertEqual(self.play("form", model), {"name": "Rom", "people": 3})
                self.check_calls(1)
                self.assertEqual(self.play("responses", model), "one two")
                self.check_calls(1)

    def test_anthropic(self):
        for model in ALL:
            with self.subTest(model):
                said = self.play("messages", model)
                self.assertEqual(said, {"text": "one two", "stop": "end_turn", "output": 2})
                self.check_calls(1)

    def test_errors(self):
        self.assertEqual(self.play("errors"), [
            ["NotFoundError", 404, "model_not_found"],
            ["BadRequestError", 400, "api.bad_request"],
            ["AuthenticationError", 401, "invalid_api_key"],
        ])
        self.assertEqual(self.new_processes(), [])

    def test_a_client_that_closes_its_stream(self):
        self.assertEqual(self.play("abort"), "gone")
        (asked,) = self.asked()
        self.assertTrue(asked.ended.wait(60))
        self.assertEqual(asked.outcome, "left")
        (process,) = self.kernel.until("its end", lambda: [one for one in self.new_processes() if one["status"]])
        self.assertEqual(process["status"], "killed")


if __name__ == "__main__":
    unittest.main()
