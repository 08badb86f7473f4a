"""`litellm`, as OpenAI's client and as Anthropic's."""

import json
import unittest

import litellm

from kernel import CHAT, MESSAGES, RESPONSES, KernelCase
from asking import WEATHER, ask

class LiteLlm(KernelCase):
    def ways(self):
        """Every way to ask every model."""
        for name in (CHAT, MESSAGES, RESPONSES):
            yield {"model": f"openai/{name}", "api_base": self.base_url}
            yield {"model": f"anthropic/{name}", "api_base": self.kernel.url}

    def completion(self, way, text, **more):
        return litellm.completion(
            **{**way, "api_key": self.kernel.token, "messages": ask(text), "num_retries": 0, "max_retries": 0, **more})

    def test_chat(self):
        for way in self.ways():
            with self.subTest(way["model"]):
                self.setUp()
                answer = self.completion(way, "[[say: good day]]")
                self.assertEqual(answer.choices[0].message.content, "good day")
                given = 20 + self.models.asked[0].messages
                self.assertEqual(answer.usage.prompt_tokens, given)
                self.assertEqual(answer.usage.completion_tokens, 2)
                self.check_calls(1)

    def test_stream(self):
        for way in self.ways():
            with self.subTest(way["model"]):
                self.setUp()
                chunks = list(self.completion(way, "[[say: one two three]]", stream=True))
                pieces = [one.choices[0].delta.content for one in chunks]
                self.assertEqual("".join(one or "" for one in pieces), "one two three")
                self.assertEqual(chunks[-1].choices[0].finish_reason, "stop")
                self.check_calls(1)

    def test_tools(self):
        for way in self.ways():
            with self.subTest(way["model"]):
                self.setUp()
                messages = ask('[[call: weather {"city": "Rom"}; weather {"city": "Wien"}]]')
                answer = self.completion(way, "", messages=messages, tools=[WEATHER])
                said = answer.choices[0].message
                calls = [(one.function.name, json.loads(one.function.arguments)) for one in said.tool_calls]
                self.assertEqual(calls, [("weather", {"city": "Rom"}), ("weather", {"city": "Wien"})])
                messages.append(said.model_dump())
                messages += [
                    {"role": "tool", "tool_call_id": one.id, "content": result}
                    for one, result in zip(said.tool_calls, ("rain", "sun"))
                ]
                answer = self.completion(way, "", messages=messages, tools=[WEATHER])
                self.assertEqual(answer.choices[0].message.content, "the tools say rain and sun")
                self.check_calls(2)

    def test_responses(self):
        for name in (CHAT, MESSAGES, RESPONSES):
            with self.subTest(name):
                self.setUp()
                answer = litellm.responses(
                    model=f"openai/{name}", api_base=self.base_url, api_key=self.kernel.token, input="[[say: yes]]")
                self.assertEqual(answer.output[0].content[0].text, "yes")
                self.check_calls(1)

    def test_errors(self):
        way = {"model": "openai/nobody", "api_base": self.base_url}
        with self.assertRaises(litellm.NotFoundError):
            self.completion(way, "[[say: yes]]")
        way["model"] = f"openai/{CHAT}"
        with self.assertRaises(litellm.AuthenticationError):
            self.completion(way, "[[say: yes]]", api_key="aosk_" + "0" * 64)
        with self.assertRaises(litellm.BadRequestError):
            self.completion(way, "[[status: 400]]")

    def test_timeout(self):
        way = {"model": f"openai/{CHAT}", "api_base": self.base_url}
        with self.assertRaises(litellm.Timeout):
            self.completion(way, "[[silent]]", timeout=2)
        self.assertTrue(self.asked()[0].ended.wait(60))
        self.assertEqual(self.asked()[0].outcome, "left")


if __name__ == "__main__":
    unittest.main()
