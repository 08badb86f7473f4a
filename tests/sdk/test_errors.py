"""What goes wrong, as the `openai` package sees it: errors, retries, timeouts, clients that go away."""

import unittest

import openai

from asking import ask
from kernel import CHAT, MESSAGES, RESPONSES, KernelCase

ALL = (CHAT, MESSAGES, RESPONSES)


class Errors(KernelCase):
    def setUp(self):
        super().setUp()
        self.client = self.client_of(self.kernel.token)

    def client_of(self, token, **more):
        client = openai.OpenAI(**{"base_url": self.base_url, "api_key": token, "max_retries": 0, **more})
        self.addCleanup(client.close)
        return client

    def create(self, text="[[say: yes]]", **more):
        return self.client.chat.completions.create(**{"model": CHAT, "messages": ask(text), **more})

    def test_a_model_that_there_is_not(self):
        with self.assertRaises(openai.NotFoundError) as found:
            self.create(model="nobody")
        self.assertEqual(found.exception.code, "model_not_found")
        self.assertIn(CHAT, found.exception.message)
        self.assertEqual(self.new_processes(), [])

    def test_a_request_that_makes_no_sense(self):
        for wrong in ({"messages": []}, {"messages": "hello"}, {"temperature": "hot"}, {"n": 0}):
            with self.subTest(wrong), self.assertRaises(openai.BadRequestError) as found:
                self.create(**wrong)
            self.assertIn(next(iter(wrong)), found.exception.message)
            self.assertEqual(found.exception.type, "invalid_request_error")
        self.assertEqual(self.new_processes(), [])

    def test_what_only_the_own_format_has_is_refused_of_others(self):
        with self.assertRaises(openai.BadRequestError):
            self.create(model=MESSAGES, n=2)
        self.create(model=CHAT, n=2)

    def test_tokens(self):
        self.client = self.client_of("aosk_" + "0" * 64)
        with self.assertRaises(openai.AuthenticationError) as found:
            self.create()
        self.assertEqual(found.exception.code, "invalid_api_key")
        self.client = self.client_of(self.kernel.make_token("viewer"))
        self.assertEqual(len(self.client.models.list().data), 4)
        with self.assertRaises(openai.PermissionDeniedError):
            self.create()
        self.assertEqual(self.new_processes(), [])

    def test_out_of_budget(self):
        """The group of this token may ask once."""
        self.client = self.client_of(self.kernel.make_token("operator", "--tenant", "poor"))
        self.create()
        with self.assertRaises(openai.APIStatusError) as found:
            self.create("something else")
        self.assertEqual(found.exception.status_code, 402)
        self.assertEqual(found.exception.body["kernel_code"], "budget.exceeded")
        self.asked(1)

    def test_what_a_provider_refuses(self):
        for model in ALL:
            with self.subTest(model):
                self.models.forget()
                with self.assertRaises(openai.BadRequestError) as found:
                    self.create("[[status: 400]]", model=model)
                self.assertIn("the house refuses", found.exception.message)
                self.asked(1)

    def test_what_passes_is_tried_again_by_the_kernel(self):
        """The client is told not to, and does not notice."""
        for model in ALL:
            for status, stream in ((429, True), (500, False)):
                with self.subTest(model=model, status=status):
                    self.setUp()
                    text = f"[[status: {status} once]]"
                    answer = self.create(text, model=model, stream=stream)
                    if stream:
                        said = "".join(one.choices[0].delta.content or "" for one in answer if one.choices)
                    else:
                        said = answer.choices[0].message.content
                    self.assertEqual(said, "this time")
                    self.asked(2)
                    (process,) = self.new_processes()
                    self.assertEqual((process["model_calls"], process["model_retries"]), (1, 1))

    def test_a_key_of_the_house_that_is_refused_is_not_the_clients_fault(self):
        for status in (401, 402, 403):
            with self.subTest(status), self.assertRaises(openai.APIStatusError) as found:
                self.create(f"[[status: {status}]]")
            self.assertNotIn(found.exception.status_code, (401, 403))

    def test_a_stream_that_breaks_off(self):
        for model in ALL:
            with self.subTest(model):
                self.setUp()
                said = []
                with self.assertRaises(openai.APIError):
                    for chunk in self.create("[[cut]]", model=model, stream=True):
                        said += [one.delta.content for one in chunk.choices if one.delta.content]
                self.assertEqual(said, ["well"])
                self.asked(1)

    def test_a_client_that_closes_its_stream(self):
        for model in ALL:
            with self.subTest(model):
                self.setUp()
                with self.create("[[hang]]", model=model, stream=True) as stream:
                    first = next(one for one in stream if one.choices and one.choices[0].delta.content)
                    self.assertEqual(first.choices[0].delta.content, "well")
                    (process,) = self.new_processes()
                    self.assertEqual(process["status"], None)
                self.check_left()

    def check_left(self):
        """The call at the model server ends, and so does the process."""
        (asked,) = self.asked()
        self.assertTrue(asked.ended.wait(60))
        self.assertEqual(asked.outcome, "left")
        (process,) = self.kernel.until("its end", lambda: [one for one in self.new_processes() if one["status"]])
        self.assertEqual(process["status"], "killed")
        # What was asked counts, and what had come of the answer.
        self.assertGreater(process["input_tokens"] + process["lost_tokens"], 0)

    def test_a_client_that_waits_no_longer(self):
        for model in ALL:
            with self.subTest(model):
                self.setUp()
                self.client = self.client_of(self.kernel.token, timeout=2)
                with self.assertRaises(openai.APITimeoutError):
                    self.create("[[silent]]", model=model)
                self.check_left()

    def test_a_stream_that_goes_on_after_a_while(self):
        with self.create("[[hang]]", stream=True) as stream:
            said = ""
            for chunk in stream:
                said += chunk.choices[0].delta.content or ""
                if said == "well":
                    self.asked()[0].release()
        self.assertEqual(said, "well then here it is")
        (process,) = self.new_processes()
        self.assertEqual(process["state"], "program")


if __name__ == "__main__":
    unittest.main()
