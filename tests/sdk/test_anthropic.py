"""The `anthropic` package: Messages, asked of models in all three formats."""

import unittest

import anthropic
from pydantic import BaseModel

from kernel import CHAT, HOUSE_KEY, MESSAGES, RESPONSES, KernelCase

ALL = (MESSAGES, CHAT, RESPONSES)

WEATHER = {
    "name": "weather",
    "description": "Tells the weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class City(BaseModel):
    name: str
    people: int


def ask(text):
    return [{"role": "user", "content": text}]


class Anthropic(KernelCase):
    def setUp(self):
        super().setUp()
        self.client = anthropic.Anthropic(base_url=self.kernel.url, api_key=self.kernel.token, max_retries=0)
        self.addCleanup(self.client.close)

    def check_accounts(self, usage, output):
        """What the client, the model server and the kernel counted is the same."""
        given = 20 + self.models.asked[0].messages
        self.assertEqual(usage.input_tokens, given - 8)
        self.assertEqual(usage.cache_read_input_tokens, 8)
        self.assertEqual(usage.output_tokens, output)
        (process,) = self.new_processes()
        self.assertEqual(process["label"], "gateway")
        self.assertEqual(process["input_tokens"], given)
        self.assertEqual(process["cached_tokens"], 8)
        self.assertEqual(process["output_tokens"], output)
        self.assertEqual(process["cost_micro_usd"], given - 8 + 2 * output)

    def test_messages(self):
        for model in ALL:
            with self.subTest(model):
                self.setUp()
                answer = self.client.messages.create(
                    model=model, max_tokens=100, system="be brief", messages=ask("[[say: good day to you]]"))
                (block,) = answer.content
                self.assertEqual((block.type, block.text), ("text", "good day to you"))
                self.assertEqual(answer.stop_reason, "end_turn")
                self.check_accounts(answer.usage, output=4)

    def test_what_is_not_known_passes_through(self):
        answer = self.client.beta.messages.create(
            model=MESSAGES, max_tokens=100, messages=ask("[[say: yes]]"), betas=["a-beta-of-the-house"],
            extra_body={"house_wish": [1, None]})
        self.assertEqual(answer.house_field, {"kept": True})
        asked = self.asked()[0]
        self.assertEqual(asked.body["house_wish"], [1, None])
        self.assertEqual(asked.headers["anthropic-beta"], "a-beta-of-the-house")
        self.assertEqual(asked.headers["x-api-key"], HOUSE_KEY)
        self.assertNotIn(self.kernel.token, str(asked.headers))
        # What can be cached is asked to be, where the client says nothing of it.
        self.assertEqual(asked.body["cache_control"], {"type": "ephemeral"})

    def test_stream(self):
        for model in ALL:
            with self.subTest(model):
                self.setUp()
                with self.client.messages.stream(
                        model=model, max_tokens=100, messages=ask("[[say: one two three]]")) as stream:
                    texts = list(stream.text_stream)
                    answer = stream.get_final_message()
                self.assertEqual(texts, ["one", " two", " three"])
                self.assertEqual(answer.stop_reason, "end_turn")
                self.check_accounts(answer.usage, output=3)

    def test_tools(self):
        for model in ALL:
            for stream in (False, True):
                with self.subTest(model=model, stream=stream):
                    self.setUp()
                    self.tools(model, stream)

    def tools(self, model, stream):
        """Two calls at once, their results, and the answer, all in one process."""
        messages = ask('[[call: weather {"city": "Köln"}; weather {"city": "Rom"}]]')
        said = self.say(model, messages, stream)
        self.assertEqual(said.stop_reason, "tool_use")
        calls = [(block.name, block.input) for block in said.content]
        self.assertEqual(calls, [("weather", {"city": "Köln"}), ("weather", {"city": "Rom"})])
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": result}
            for block, result in zip(said.content, ("rain", "sun"))
        ]
        messages += [{"role": "assistant", "content": said.content}, {"role": "user", "content": results}]
        said = self.say(model, messages, stream)
        self.assertEqual(said.content[0].text, "the tools say rain and sun")
        (process,) = self.new_processes()
        self.assertEqual(process["model_calls"], 2)
        roles = [one["message"]["role"] for one in process["log"]]
        self.assertEqual(roles, ["user", "assistant", "tool", "tool", "assistant"])

    def say(self, model, messages, stream):
        asked = {"model": model, "max_tokens": 100, "messages": messages, "tools": [WEATHER]}
        if not stream:
            return self.client.messages.create(**asked)
        with self.client.messages.stream(**asked) as events:
            return events.get_final_message()

    def test_structured_output(self):
        for model in ALL:
            with self.subTest(model):
                self.setUp()
                answer = self.client.messages.parse(
                    model=model, max_tokens=100, messages=ask('[[json: {"name": "Rom", "people": 3}]]'),
                    output_format=City)
                self.assertEqual(answer.parsed_output, City(name="Rom", people=3))

    def test_count_of_tokens(self):
        short = self.client.messages.count_tokens(model=MESSAGES, messages=ask("word"))
        long = self.client.messages.count_tokens(model=MESSAGES, messages=ask("word " * 100))
        tools = self.client.messages.count_tokens(model=MESSAGES, messages=ask("word"), tools=[WEATHER])
        self.assertGreater(short.input_tokens, 0)
        self.assertGreaterEqual(long.input_tokens, short.input_tokens + 99)
        self.assertGreater(tools.input_tokens, short.input_tokens)
        # Nobody was asked, and nothing begun.
        self.assertEqual((self.models.asked, self.new_processes()), ([], []))

    def test_models(self):
        names = [model.id for model in self.client.models.list()]
        self.assertEqual(names, [CHAT, MESSAGES, RESPONSES, "openai:gone"])
        self.assertEqual(self.client.models.retrieve(MESSAGES).id, MESSAGES)

    def test_errors(self):
        def create(**more):
            asked = {"model": MESSAGES, "max_tokens": 100, "messages": ask("[[say: yes]]"), **more}
            return self.client.messages.create(**asked)

        with self.assertRaises(anthropic.NotFoundError) as found:
            create(model="nobody")
        self.assertEqual(found.exception.body["error"]["type"], "not_found_error")
        with self.assertRaises(anthropic.BadRequestError) as found:
            create(messages=[])
        self.assertEqual(found.exception.body["error"]["type"], "invalid_request_error")
        with self.assertRaises(anthropic.BadRequestError) as found:
            create(messages=ask("[[status: 400]]"))
        self.assertEqual(found.exception.body["error"]["message"], "the house refuses")
        with self.assertRaises(anthropic.AuthenticationError) as found:
            with anthropic.Anthropic(base_url=self.kernel.url, api_key="aosk_" + "0" * 64, max_retries=0) as other:
                other.messages.create(model=MESSAGES, max_tokens=100, messages=ask("[[say: yes]]"))
        self.assertEqual(found.exception.body["error"]["type"], "authentication_error")

    def test_a_client_that_goes_away(self):
        with self.client.messages.stream(model=MESSAGES, max_tokens=100, messages=ask("[[hang]]")) as stream:
            self.assertEqual(next(stream.text_stream), "well")
        (asked,) = self.asked()
        self.assertTrue(asked.ended.wait(60))
        self.assertEqual(asked.outcome, "left")
        (process,) = self.kernel.until("its end", lambda: [one for one in self.new_processes() if one["status"]])
        self.assertEqual(process["status"], "killed")


if __name__ == "__main__":
    unittest.main()
