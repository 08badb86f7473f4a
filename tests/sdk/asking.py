"""What several tests ask."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def ask(text):
    """A conversation that asks for this."""
    return [{"role": "system", "content": "be brief"}, {"role": "user", "content": text}]
