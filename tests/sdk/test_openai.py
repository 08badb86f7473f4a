"""The `openai` package: chat completions and Responses, asked of models in all three formats."""

import asyncio
import json
import unittest

import openai
from pydantic import BaseModel

from asking import WEATHER, ask
from kernel import CHAT, HOUSE_KEY, MESSAGES, RESPONSES, KernelCase

ALL = (CHAT, MESSAGES, RESPONSES)

class City(BaseModel):
    name: str
    people: int


class OpenAi(KernelCase):
    def setUp(self):
        super().setUp()
        self.client = openai.OpenAI(base_url=self.base_url, api_key=self.kernel.token, max_retries=0)
        self.addCleanup(self.client.close)

    def test_chat(self):
        for model in ALL:
            with self.subTest(model):
                self.setUp()
                answer = self.client.chat.completions.create(
                    model=model, messages=ask("hello [[say: good day to you]]"), temperature=0.5)
                choice = answer.choices[0]
                self.assertEqual(choice.message.content, "good day to you")
                self.assertEqual(choice.finish_reason, "stop")
                self.check_accounts(answer.usage, output=4)
                # Anthropic's newer models know no temperature.
                temperature = self.asked()[0].body.get("temperature")
                self.assertEqual(temperature, None if model == MESSAGES else 0.5)

    def check_accounts(self, usage, output):
        """What the client, the model server and the kernel counted is the same."""
        asked = self.models.asked[0]
        given = 20 + asked.messages
        self.assertEqual(usage.prompt_tokens, given)
        self.assertEqual(usage.prompt_tokens_details.cached_tokens, 8)
        self.assertEqual(usage.completion_tokens, output)
        self.assertEqual(usage.total_tokens, given + output)
        (process,) = self.new_processes()
        self.assertEqual(process["label"], "gateway")
        self.assertEqual(process["program"], "foreign")
        self.assertEqual(process["input_tokens"], given)
        self.assertEqual(process["cached_tokens"], 8)
        self.assertEqual(process["output_tokens"], output)
        self.assertEqual(process["cost_micro_usd"], given - 8 + 2 * output)
        self.assertEqual(process["model_calls"], 1)

    def test_what_is_not_known_passes_through(self):
        answer = self.client.chat.completions.create(
            model=CHAT, messages=ask("[[say: yes]]"), extra_body={"house_wish": {"deep": [1, None]}})
        self.assertEqual(answer.house_field, {"kept": True})
        asked = self.asked()[0]
        self.assertEqual(asked.body["house_wish"], {"deep": [1, None]})
        self.assertEqual(asked.body["messages"], ask("[[say: yes]]"))
        # The token of the client stays here; the key of the house stays there.
        self.assertEqual(asked.headers["authorization"], f"Bearer {HOUSE_KEY}")
        self.assertNotIn(self.kernel.token, str(asked.headers))

    def test_stream(self):
        for model in ALL:
            with self.subTest(model):
                self.setUp()
                stream = self.client.chat.completions.create(
                    model=model, messages=ask("[[say: one two three]]"), stream=True,
                    stream_options={"include_usage": True})
                chunks = list(stream)
                pieces = [one.choices[0].delta.content for one in chunks if one.choices]
                self.assertEqual([one for one in pieces if one], ["one", " two", " three"])
                ends = [one.choices[0].finish_reason for one in chunks if one.choices]
                self.assertEqual([one for one in ends if one], ["stop"])
                self.check_accounts(chunks[-1].usage, output=3)

    def test_a_stream_without_usage_is_accounted_all_the_same(self):
        chunks = list(self.client.chat.completions.create(
            model=CHAT, messages=ask("[[say: one two]]"), stream=True))
        self.assertTrue(all(one.choices and one.usage is None for one in chunks))
        (process,) = self.new_processes()
        self.assertEqual(process["output_tokens"], 2)

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
        calls = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in said["tool_calls"]]
        self.assertEqual(calls, [("weather", {"city": "Köln"}), ("weather", {"city": "Rom"})])
        messages.append(said)
        for call, result in zip(said["tool_calls"], ("rain", "sun")):
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
        self.assertEqual(self.say(model, messages, stream)["content"], "the tools say rain and sun")
        self.asked(2)
        (process,) = self.new_processes()
        self.assertEqual(process["model_calls"], 2)
        roles = [one["message"]["role"] for one in process["log"]]
        self.assertEqual(roles, ["system", "user", "assistant", "tool", "tool", "assistant"])

    def say(self, model, messages, stream):
        """What the model says, as a message to send back."""
        if not stream:
            answer = self.client.chat.completions.create(model=model, messages=messages, tools=[WEATHER])
            return answer.choices[0].message.model_dump(exclude_none=True)
        with self.client.chat.completions.stream(model=model, messages=messages, tools=[WEATHER]) as events:
            message = events.get_final_completion().choices[0].message
        said = message.model_dump(exclude_none=True)
        for call in said.get("tool_calls", []):
            call["function"].pop("parsed_arguments", None)
        said.pop("parsed", None)
        return said

    def test_structured_output(self):
        for model in ALL:
            with self.subTest(model):
                self.setUp()
                answer = self.client.chat.completions.parse(
                    model=model, messages=ask('[[json: {"name": "Rom", "people": 3}]]'), response_format=City)
                self.assertEqual(answer.choices[0].message.parsed, City(name="Rom", people=3))

    def test_responses(self):
        for model in ALL:
            with self.subTest(model):
                self.setUp()
                answer = self.client.responses.create(
                    model=model, instructions="be brief", input="[[say: good day to you]]", store=False)
                self.assertEqual(answer.output_text, "good day to you")
                self.assertEqual(answer.status, "completed")
                given = 20 + self.asked()[0].messages
                self.assertEqual(answer.usage.input_tokens, given)
                self.assertEqual(answer.usage.input_tokens_details.cached_tokens, 8)
                self.assertEqual(answer.usage.output_tokens, 4)
                (process,) = self.new_processes()
                self.assertEqual(process["cost_micro_usd"], given - 8 + 8)

    def test_responses_streamed_with_tools(self):
        tool = {"type": "function", **WEATHER["function"], "strict": False}
        for model in ALL:
            with self.subTest(model):
                self.setUp()
                items = [{"role": "user", "content": '[[call: weather {"city": "Rom"}]]'}]
                with self.client.responses.stream(model=model, input=items, tools=[tool], store=False) as events:
                    answer = events.get_final_response()
                (call,) = answer.output
                self.assertEqual((call.name, json.loads(call.arguments)), ("weather", {"city": "Rom"}))
                items.append(call.model_dump(exclude_none=True, exclude={"parsed_arguments"}))
                items.append({"type": "function_call_output", "call_id": call.call_id, "output": "sun"})
                with self.client.responses.stream(model=model, input=items, tools=[tool], store=False) as events:
                    texts = [one.delta for one in events if one.type == "response.output_text.delta"]
                    answer = events.get_final_response()
                self.assertEqual(texts, ["the", " tools", " say", " sun"])
                self.assertEqual(answer.output_text, "the tools say sun")
                (process,) = self.new_processes()
                self.assertEqual(process["model_calls"], 2)

    def test_responses_structured_output(self):
        for model in ALL:
            with self.subTest(model):
                self.setUp()
                answer = self.client.responses.parse(
                    model=model, input='[[json: {"name": "Rom", "people": 3}]]', text_format=City, store=False)
                self.assertEqual(answer.output_parsed, City(name="Rom", people=3))

    def test_vectors(self):
        answer = self.client.embeddings.create(model=CHAT, input=["one two three", "four"])
        self.assertEqual([one.embedding for one in answer.data], [[3.0, 0.0], [1.0, 1.0]])
        self.assertEqual(answer.usage.prompt_tokens, 4)
        (process,) = self.new_processes()
        self.assertEqual((process["input_tokens"], process["cost_micro_usd"]), (4, 4))
        with self.assertRaises(openai.BadRequestError):
            self.client.embeddings.create(model=MESSAGES, input="one")

    def test_what_the_headers_say(self):
        answer = self.client.chat.completions.with_raw_response.create(
            model=CHAT, messages=ask("[[say: yes]]"), user="somebody",
            extra_headers={"x-aosk-session": "house", "x-aosk-priority": "7"})
        (process,) = self.new_processes()
        self.assertEqual(answer.headers["x-aosk-process"], f"p{process['pid']}")
        self.assertEqual((process["name"], process["priority"]), ("house", 7))
        request = answer.headers["x-request-id"]
        self.assertEqual(self.asked()[0].headers["x-client-request-id"], request)
        with self.assertRaises(openai.BadRequestError):
            self.client.chat.completions.create(
                model=CHAT, messages=ask("[[say: yes]]"), extra_headers={"x-aosk-priority": "high"})

    def test_a_conversation_that_is_paged(self):
        """The model is shown what fits into the window, and the client notices nothing of it."""
        paged = {"x-aosk-context": "paged", "x-aosk-window": "2000"}
        messages = ask("[[say: one]]")
        for turn in range(8):
            answer = self.client.chat.completions.create(model=CHAT, messages=messages, extra_headers=paged)
            said = answer.choices[0].message.content
            more = f"{turn} " + "and so on " * 200 + f"[[say: {turn}]]"
            messages += [{"role": "assistant", "content": said}, {"role": "user", "content": more}]
        last = self.asked(8)[-1]
        shown = json.dumps(last.body["messages"])
        self.assertLess(len(shown), len(json.dumps(messages)) / 2)
        self.assertIn("[[say: 6]]", shown)
        (process,) = self.new_processes()
        self.assertEqual(process["model_calls"], 8)

    def test_who_goes_on_with_a_conversation_is_the_same_process(self):
        messages = ask("[[say: one]]")
        for turn in range(3):
            answer = self.client.chat.completions.create(model=CHAT, messages=messages)
            messages += [answer.choices[0].message, {"role": "user", "content": f"turn {turn} [[say: more]]"}]
        (process,) = self.new_processes()
        self.assertEqual(process["model_calls"], 3)
        self.assertEqual(len(process["log"]), 2 + 5)

    def test_several_at_once_are_processes_of_their_own(self):
        async def all_at_once():
            async with openai.AsyncOpenAI(base_url=self.base_url, api_key=self.kernel.token, max_retries=0) as client:
                return await asyncio.gather(*(
                    client.chat.completions.create(model=CHAT, messages=ask(f"[[say: number {at}]]"))
                    for at in range(20)))

        answers = asyncio.run(all_at_once())
        texts = [answer.choices[0].message.content for answer in answers]
        self.assertEqual(texts, [f"number {at}" for at in range(20)])
        self.assertEqual(len(self.new_processes()), 20)

    def test_models(self):
        names = [model.id for model in self.client.models.list()]
        self.assertEqual(names, [CHAT, MESSAGES, RESPONSES, "openai:gone"])
        self.assertEqual(self.client.models.retrieve(CHAT).owned_by, "openai")
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("nobody")

    def test_a_model_that_is_called_by_its_last_name(self):
        answer = self.client.chat.completions.create(model="chat-one", messages=ask("[[say: yes]]"))
        self.assertEqual(answer.choices[0].message.content, "yes")


if __name__ == "__main__":
    unittest.main()
