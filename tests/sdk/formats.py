"""What a provider writes, in chat completions, in Messages and in Responses."""

import base64
import json
import struct


def of(path):
    """The format of a path."""
    formats = (
        ("/chat/completions", Chat), ("/messages", Messages), ("/responses", Responses), ("/embeddings", Embeddings),
    )
    for ending, found in formats:
        if path.split("?")[0].endswith(ending):
            return found
    raise ValueError(f"nobody should ask for {path}")


def is_piece(data):
    """Whether an event has a piece of the answer's text."""
    if not isinstance(data, dict):
        return False
    if data.get("type") in ("content_block_delta", "response.output_text.delta"):
        return True
    return any(choice.get("delta", {}).get("content") for choice in data.get("choices", []))


def text_of(content):
    """The text of a content in whichever form."""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or [] if isinstance(part, dict))


class Chat:
    """Chat completions."""

    @staticmethod
    def count(body):
        return len(body["messages"])

    @staticmethod
    def last_of_user(body):
        said = [one for one in body["messages"] if one["role"] == "user"]
        return text_of(said[-1]["content"]) if said else ""

    @staticmethod
    def results(body):
        found = []
        for one in reversed(body["messages"]):
            if one["role"] != "tool":
                break
            found.insert(0, text_of(one["content"]))
        return found

    @staticmethod
    def tools(body):
        return [tool["function"]["name"] for tool in body.get("tools", [])]

    @staticmethod
    def wants_json(body):
        return body.get("response_format", {}).get("type") in ("json_object", "json_schema")

    @staticmethod
    def usage(answer):
        return {
            "prompt_tokens": answer.input,
            "completion_tokens": answer.output,
            "total_tokens": answer.input + answer.output,
            "prompt_tokens_details": {"cached_tokens": answer.cached},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }

    @staticmethod
    def calls(answer):
        return [
            {"id": id, "type": "function", "function": {"name": name, "arguments": given}}
            for id, name, given in answer.calls
        ]

    @classmethod
    def whole(cls, model, answer):
        message = {"role": "assistant", "content": answer.text or None, "refusal": None}
        if answer.calls:
            message["tool_calls"] = cls.calls(answer)
        finish = "tool_calls" if answer.calls else "stop"
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return {
            "id": f"chatcmpl-{answer.number}", "object": "chat.completion", "created": 1, "model": model,
            "choices": [choice], "usage": cls.usage(answer), "house_field": {"kept": True},
        }

    @classmethod
    def events(cls, model, answer, body):
        def chunk(delta, finish=None):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return None, {
                "id": f"chatcmpl-{answer.number}", "object": "chat.completion.chunk", "created": 1, "model": model,
                "choices": [choice],
            }

        yield chunk({"role": "assistant", "content": ""})
        for piece in answer.pieces:
            yield chunk({"content": piece})
        for at, call in enumerate(cls.calls(answer)):
            begun = {**call, "index": at, "function": {**call["function"], "arguments": ""}}
            yield chunk({"tool_calls": [begun]})
            given = call["function"]["arguments"]
            for part in (given[:3], given[3:]):
                yield chunk({"tool_calls": [{"index": at, "function": {"arguments": part}}]})
        yield chunk({}, "tool_calls" if answer.calls else "stop")
        if (body.get("stream_options") or {}).get("include_usage"):
            _, last = chunk({})
            yield None, {**last, "choices": [], "usage": cls.usage(answer)}
        yield None, "[DONE]"

    @staticmethod
    def error(status):
        return {"error": {"message": "the house refuses", "type": "house_error", "code": "house", "param": None}}


class Messages:
    """Anthropic's Messages."""

    @staticmethod
    def count(body):
        return len(body["messages"])

    @staticmethod
    def last_of_user(body):
        said = [one for one in body["messages"] if one["role"] == "user"]
        return text_of(said[-1]["content"]) if said else ""

    @staticmethod
    def results(body):
        content = body["messages"][-1]["content"]
        parts = [] if isinstance(content, str) else content
        return [text_of(part.get("content")) for part in parts if part["type"] == "tool_result"]

    @staticmethod
    def tools(body):
        return [tool["name"] for tool in body.get("tools", [])]

    @staticmethod
    def wants_json(body):
        return "output_config" in body or "output_format" in body

    @staticmethod
    def usage(answer):
        return {
            "input_tokens": answer.input - answer.cached,
            "cache_read_input_tokens": answer.cached,
            "cache_creation_input_tokens": 0,
            "output_tokens": answer.output,
        }

    @classmethod
    def blocks(cls, answer):
        text = [{"type": "text", "text": answer.text}] if answer.text else []
        return text + [
            {"type": "tool_use", "id": id, "name": name, "input": json.loads(given)}
            for id, name, given in answer.calls
        ]

    @classmethod
    def whole(cls, model, answer):
        return {
            "id": f"msg_{answer.number}", "type": "message", "role": "assistant", "model": model,
            "content": cls.blocks(answer), "stop_reason": "tool_use" if answer.calls else "end_turn",
            "stop_sequence": None, "usage": cls.usage(answer), "house_field": {"kept": True},
        }

    @classmethod
    def events(cls, model, answer, body):
        def event(kind, **fields):
            return kind, {"type": kind, **fields}

        usage = {**cls.usage(answer), "output_tokens": 1}
        empty = {**cls.whole(model, answer), "content": [], "stop_reason": None, "usage": usage}
        yield event("message_start", message=empty)
        yield event("ping")
        for at, block in enumerate(cls.blocks(answer)):
            is_text = block["type"] == "text"
            begun = {**block, "text": ""} if is_text else {**block, "input": {}}
            yield event("content_block_start", index=at, content_block=begun)
            if is_text:
                deltas = [{"type": "text_delta", "text": piece} for piece in answer.pieces]
            else:
                given = json.dumps(block["input"])
                parts = (given[:3], given[3:])
                deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
            for delta in deltas:
                yield event("content_block_delta", index=at, delta=delta)
            yield event("content_block_stop", index=at)
        stop = {"stop_reason": "tool_use" if answer.calls else "end_turn", "stop_sequence": None}
        yield event("message_delta", delta=stop, usage={"output_tokens": answer.output})
        yield event("message_stop")

    @staticmethod
    def error(status):
        return {"type": "error", "error": {"type": "house_error", "message": "the house refuses"}}


class Responses:
    """OpenAI's Responses."""

    @staticmethod
    def items(body):
        given = body["input"]
        return [{"role": "user", "content": given}] if isinstance(given, str) else given

    @classmethod
    def count(cls, body):
        return len(cls.items(body))

    @classmethod
    def last_of_user(cls, body):
        said = [one for one in cls.items(body) if one.get("role") == "user"]
        return text_of(said[-1]["content"]) if said else ""

    @classmethod
    def results(cls, body):
        found = []
        for one in reversed(cls.items(body)):
            if one.get("type") != "function_call_output":
                break
            found.insert(0, text_of(one["output"]))
        return found

    @staticmethod
    def tools(body):
        return [tool["name"] for tool in body.get("tools", [])]

    @staticmethod
    def wants_json(body):
        form = (body.get("text") or {}).get("format") or {}
        return form.get("type") in ("json_object", "json_schema")

    @staticmethod
    def usage(answer):
        return {
            "input_tokens": answer.input,
            "input_tokens_details": {"cached_tokens": answer.cached},
            "output_tokens": answer.output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": answer.input + answer.output,
        }

    @classmethod
    def output(cls, answer):
        part = {"type": "output_text", "text": answer.text, "annotations": []}
        said = {
            "type": "message", "id": f"msg_{answer.number}", "role": "assistant", "status": "completed",
            "content": [part],
        }
        calls = [
            {"type": "function_call", "id": f"fc_{answer.number}_{id}", "call_id": id, "name": name,
             "arguments": given, "status": "completed"}
            for id, name, given in answer.calls
        ]
        return ([said] if answer.text else []) + calls

    @classmethod
    def response(cls, model, answer, status, output, usage):
        return {
            "id": f"resp_{answer.number}", "object": "response", "created_at": 1, "status": status, "model": model,
            "output": output, "usage": usage, "error": None, "incomplete_details": None,
            "instructions": None, "metadata": {}, "parallel_tool_calls": True, "temperature": 1.0,
            "tool_choice": "auto", "tools": [], "top_p": 1.0,
        }

    @classmethod
    def whole(cls, model, answer):
        return cls.response(model, answer, "completed", cls.output(answer), cls.usage(answer))

    @classmethod
    def events(cls, model, answer, body):
        number = iter(range(1_000))

        def event(kind, **fields):
            return kind, {"type": kind, "sequence_number": next(number), **fields}

        begun = cls.response(model, answer, "in_progress", [], None)
        yield event("response.created", response=begun)
        yield event("response.in_progress", response=begun)
        for at, item in enumerate(cls.output(answer)):
            place = {"item_id": item["id"], "output_index": at}
            if item["type"] == "message":
                empty = {**item, "content": [], "status": "in_progress"}
                yield event("response.output_item.added", output_index=at, item=empty)
                part = item["content"][0]
                yield event("response.content_part.added", content_index=0, part={**part, "text": ""}, **place)
                for piece in answer.pieces:
                    yield event("response.output_text.delta", content_index=0, delta=piece, logprobs=[], **place)
                yield event("response.output_text.done", content_index=0, text=answer.text, logprobs=[], **place)
                yield event("response.content_part.done", content_index=0, part=part, **place)
            else:
                empty = {**item, "arguments": "", "status": "in_progress"}
                yield event("response.output_item.added", output_index=at, item=empty)
                given = item["arguments"]
                yield event("response.function_call_arguments.delta", delta=given, **place)
                yield event("response.function_call_arguments.done", arguments=given, name=item["name"], **place)
            yield event("response.output_item.done", output_index=at, item=item)
        yield event("response.completed", response=cls.whole(model, answer))

    @staticmethod
    def error(status):
        return Chat.error(status)


class Embeddings:
    """Vectors of texts: how many words each has, and which in the list it is."""

    @staticmethod
    def count(body):
        return 1 if isinstance(body["input"], str) else len(body["input"])

    @staticmethod
    def results(body):
        return []

    @staticmethod
    def last_of_user(body):
        return "[[vectors]]"

    @staticmethod
    def vectors(body):
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        found = [[float(len(text.split())), float(at)] for at, text in enumerate(texts)]
        if body.get("encoding_format") == "base64":
            found = [base64.b64encode(struct.pack("<2f", *one)).decode() for one in found]
        given = sum(len(text.split()) for text in texts)
        return {
            "object": "list", "model": body["model"],
            "data": [{"object": "embedding", "index": at, "embedding": one} for at, one in enumerate(found)],
            "usage": {"prompt_tokens": given, "total_tokens": given},
        }
