"""AIOS: the client of `aios-agent-sdk`, which is given an address and nothing else."""

import unittest

import requests
from cerebrum.client import Cerebrum
from cerebrum.llm.communication import LLMQuery

from kernel import KernelCase


class Aios(KernelCase):
    def setUp(self):
        super().setUp()
        # The token stands in the address, since the client sends no headers.
        self.url = self.kernel.url.replace("http://", f"http://aosk:{self.kernel.token}@")

    def test_the_client(self):
        query = LLMQuery(messages=[{"role": "user", "content": "[[say: good day]]"}], action_type="chat")
        answer = Cerebrum(self.url)._query_llm("planner", query)
        self.assertEqual(answer["response"]["response_message"], "good day")
        self.assertIs(answer["response"]["finished"], True)
        (process,) = self.check_calls(1)
        self.assertEqual(process["name"], "planner")
        self.assertEqual(self.asked()[0].body["model"], "chat-one")

    def test_tools(self):
        parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
        tool = {"type": "function", "function": {
            "name": "house/weather", "description": "Tells the weather", "parameters": parameters}}
        query = LLMQuery(
            messages=[{"role": "user", "content": '[[call: house__weather {"city": "Rom"}]]'}],
            tools=[tool], action_type="tool_use")
        answer = Cerebrum(self.url)._query_llm("planner", query)
        (call,) = answer["response"]["tool_calls"]
        self.assertEqual((call["name"], call["parameters"]), ("house/weather", {"city": "Rom"}))

    def test_as_later_versions_send_it(self):
        """Their `send_request`: which model, and more that a query may have."""
        data = {
            "query_type": "llm", "agent_name": "planner",
            "query_data": {
                "llms": [{"name": "messages-one", "backend": "anthropic"}],
                "messages": [{"role": "user", "content": "[[say: good day]]"}],
                "tools": [], "action_type": "chat", "temperature": 1.0, "max_new_tokens": 1000,
                "message_return_type": "text", "response_format": None,
            },
        }
        answer = requests.post(f"{self.url}/query", json=data, timeout=60)
        answer.raise_for_status()
        self.assertEqual(answer.json()["response"]["response_message"], "good day")
        self.assertEqual(self.asked()[0].body["model"], "messages-one")
        self.assertEqual(self.asked()[0].body["max_tokens"], 1000)

    def test_models(self):
        listed = requests.get(f"{self.url}/core/llms/list", timeout=60).json()
        self.assertEqual(listed["status"], "success")
        self.assertIn({"name": "chat-one", "provider": "openai", "backend": "openai"}, listed["llms"])

    def test_mistakes(self):
        for data, status in (
                ({"query_type": "llm"}, 400),
                ({"query_type": "storage", "agent_name": "planner", "query_data": {}}, 400),
                ({"query_type": "llm", "agent_name": "planner",
                  "query_data": {"messages": [{"role": "user", "content": "x"}], "llms": [{"name": "nobody"}]}}, 404)):
            with self.subTest(data):
                answer = requests.post(f"{self.url}/query", json=data, timeout=60)
                self.assertEqual(answer.status_code, status)
                self.assertIsInstance(answer.json()["detail"], str)
        unknown = requests.post(f"{self.kernel.url}/query", json={}, timeout=60)
        self.assertEqual(unknown.status_code, 401)


if __name__ == "__main__":
    unittest.main()
