"""`crewai`: a crew of one with a tool."""

import os
import unittest

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool

from kernel import CHAT, MESSAGES, KernelCase


@tool("weather")
def weather(city: str) -> str:
    """Tells the weather."""
    return f"sun in {city}"


class CrewAi(KernelCase):
    def test_a_crew(self):
        for name in (CHAT, MESSAGES):
            with self.subTest(name):
                self.setUp()
                llm = LLM(model=name, provider="openai", base_url=self.base_url, api_key=self.kernel.token)
                agent = Agent(
                    role="reporter", goal="say what the weather is", backstory="of long standing",
                    llm=llm, tools=[weather])
                task = Task(
                    description='[[call: weather {"city": "Rom"}]]', expected_output="one line", agent=agent)
                result = Crew(agents=[agent], tasks=[task]).kickoff()
                self.assertEqual(result.raw, "the tools say sun in Rom")
                self.check_calls(2)


if __name__ == "__main__":
    unittest.main()
