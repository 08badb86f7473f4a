"""AutoGen: `autogen-ext[openai]` under an agent of `autogen-agentchat`."""

import asyncio
import unittest

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ModelFamily, UserMessage
from autogen_ext.models.openai import OpenAIChatCompletionClient

from kernel import CHAT, MESSAGES, RESPONSES, KernelCase


async def weather(city: str) -> str:
    """Tells the weather."""
    return f"sun in {city}"


class AutoGen(KernelCase):
    def client(self, name):
        about = {
            "vision": False, "function_calling": True, "json_output": True, "structured_output": True,
            "family": ModelFamily.UNKNOWN,
        }
        return OpenAIChatCompletionClient(
            model=name, base_url=self.base_url, api_key=self.kernel.token, max_retries=0, model_info=about)

    def test_chat_and_stream(self):
        async def scene(client):
            answer = await client.create([UserMessage(content="[[say: good day]]", source="user")])
            pieces = [one async for one in client.create_stream(
                [UserMessage(content="[[say: one two]]", source="user")])]
            await client.close()
            return answer, pieces

        for name in (CHAT, MESSAGES, RESPONSES):
            with self.subTest(name):
                self.setUp()
                answer, pieces = asyncio.run(scene(self.client(name)))
                self.assertEqual(answer.content, "good day")
                self.assertEqual((answer.usage.prompt_tokens, answer.usage.completion_tokens), (21, 2))
                self.assertEqual(pieces[:-1], ["one", " two"])
                self.check_calls(2, processes=2)

    def test_an_agent_with_tools(self):
        async def scene(client):
            agent = AssistantAgent("helper", client, tools=[weather], reflect_on_tool_use=True)
            result = await agent.run(task='[[call: weather {"city": "Rom"}; weather {"city": "Wien"}]]')
            await client.close()
            return result.messages[-1].content

        for name in (CHAT, MESSAGES, RESPONSES):
            with self.subTest(name):
                self.setUp()
                said = asyncio.run(scene(self.client(name)))
                self.assertEqual(said, "the tools say sun in Rom and sun in Wien")
                self.check_calls(2)


if __name__ == "__main__":
    unittest.main()
