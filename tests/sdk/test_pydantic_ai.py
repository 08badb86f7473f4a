"""`pydantic-ai`, with each of its models."""

import unittest

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from kernel import CHAT, MESSAGES, RESPONSES, KernelCase


class City(BaseModel):
    name: str
    people: int


class PydanticAi(KernelCase):
    def every_model(self):
        """Every way to ask every model."""
        openai = OpenAIProvider(base_url=self.base_url, api_key=self.kernel.token)
        anthropic = AnthropicProvider(base_url=self.kernel.url, api_key=self.kernel.token)
        for name in (CHAT, MESSAGES, RESPONSES):
            yield OpenAIChatModel(name, provider=openai)
            yield OpenAIResponsesModel(name, provider=openai)
            yield AnthropicModel(name, provider=anthropic)

    def test_agents_with_tools(self):
        for model in self.every_model():
            with self.subTest(model=model.model_name, by=type(model).__name__):
                self.setUp()
                agent = Agent(model, instructions="be brief")
                agent.tool_plain(weather)
                result = agent.run_sync('[[call: weather {"city": "Rom"}; weather {"city": "Wien"}]]')
                self.assertEqual(result.output, "the tools say sun in Rom and sun in Wien")
                self.assertEqual(result.usage.requests, 2)
                self.check_calls(2)

    def test_structured_output(self):
        for model in self.every_model():
            with self.subTest(model=model.model_name, by=type(model).__name__):
                self.setUp()
                result = Agent(model, output_type=City).run_sync('[[form: {"name": "Rom", "people": 3}]]')
                self.assertEqual(result.output, City(name="Rom", people=3))
                self.check_calls(1)


def weather(city: str) -> str:
    """Tells the weather."""
    return f"sun in {city}"


if __name__ == "__main__":
    unittest.main()
