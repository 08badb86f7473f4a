"""`langchain-openai` and `langgraph`."""

import unittest

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent
from pydantic import BaseModel

from kernel import CHAT, MESSAGES, RESPONSES, KernelCase

ALL = (CHAT, MESSAGES, RESPONSES)


class City(BaseModel):
    """A city."""

    name: str
    people: int


@tool
def weather(city: str) -> str:
    """Tells the weather."""
    return f"sun in {city}"


class LangChain(KernelCase):
    def model(self, name, **more):
        return ChatOpenAI(
            model=name, base_url=self.base_url, api_key=self.kernel.token, max_retries=0, stream_usage=True, **more)

    def test_chat_and_stream(self):
        for name in ALL:
            with self.subTest(name):
                self.setUp()
                answer = self.model(name).invoke("[[say: good day]]")
                self.assertEqual(answer.content, "good day")
                self.assertEqual(answer.usage_metadata["input_tokens"], 21)
                self.assertEqual(answer.usage_metadata["input_token_details"]["cache_read"], 8)
                pieces = list(self.model(name).stream("[[say: one two]]"))
                self.assertEqual([one.content for one in pieces if one.content], ["one", " two"])
                whole = pieces[0]
                for piece in pieces[1:]:
                    whole += piece
                self.assertEqual(whole.usage_metadata["output_tokens"], 2)
                self.check_calls(2, processes=2)

    def test_structured_output(self):
        text = '[[json: {"name": "Rom", "people": 3}]]'
        for name in ALL:
            for method in ("json_schema", "function_calling"):
                with self.subTest(model=name, method=method):
                    self.setUp()
                    asked = text if method == "json_schema" else text.replace("json", "form")
                    found = self.model(name).with_structured_output(City, method=method).invoke(asked)
                    self.assertEqual(found, City(name="Rom", people=3))
                    self.check_calls(1)

    def test_an_agent_of_langgraph(self):
        for name in ALL:
            for more in ({}, {"use_responses_api": True}):
                with self.subTest(model=name, more=more):
                    self.setUp()
                    agent = create_react_agent(self.model(name, **more), [weather])
                    ask = HumanMessage('[[call: weather {"city": "Rom"}; weather {"city": "Wien"}]]')
                    said = agent.invoke({"messages": [ask]})["messages"]
                    self.assertEqual([one.type for one in said], ["human", "ai", "tool", "tool", "ai"])
                    self.assertEqual(said[-1].text, "the tools say sun in Rom and sun in Wien")
                    self.check_calls(2)


if __name__ == "__main__":
    unittest.main()
