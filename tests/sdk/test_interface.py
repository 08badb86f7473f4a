"""The REST interface, asked by `schemathesis` for everything that its description has, with what it allows and with
what it does not: nothing is answered that the description does not say, and nothing with 500."""

import itertools
import json
import unittest
from pathlib import Path

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies
from schemathesis.checks import not_a_server_error
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance, response_headers_conformance, response_schema_conformance, status_code_conformance,
)

from kernel import CHAT, KernelCase

KEPT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]
STREAM = "text/event-stream"

# Of the names that it takes the description says nothing.
POLICY = "PUT /api/v1/policies/scheduler"

# The same requests each time, and so many for each operation: of each kind, and at the edges of what is allowed.
SEED = 20261122
EXAMPLES = 25
EDGES_MAX = 120

# An answer that does not come at all.
SECONDS_MAX = 60


class Interface(KernelCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session = requests.Session()
        cls.addClassCleanup(cls.session.close)
        cls.session.headers["Authorization"] = "Bearer " + cls.kernel.make_token("admin")
        document = cls.ask("GET", "/api/v1/openapi.json")
        # What any operation may answer besides is a way to say nothing: here each must name its statuses.
        for operation in operations(document).values():
            del operation["responses"]["default"]
        cls.document = document
        cls.schema = schemathesis.openapi.from_dict(document)
        cls.schema.config.update(base_url=cls.kernel.url)
        cls.begin_processes()

    @classmethod
    def ask(cls, method, path, **more):
        answer = cls.session.request(method, cls.kernel.url + path, timeout=SECONDS_MAX, **more)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    @classmethod
    def begin_processes(cls):
        """One that has ended and touched files, one that asks a person, one that waits for messages."""
        def begin(task, **more):
            process = cls.ask("POST", "/api/v1/processes", json={"task": task, "model": CHAT, **more})
            return process["pid"]

        written = json.dumps({"path": "made.txt", "content": "made"})
        cls.ended = begin("[[call: write_file " + written + "]]")
        cls.ask("GET", f"/api/v1/processes/{cls.ended}/wait")
        cls.asking = begin("[[say: yes]]", limits={"tokens": 10, "when_over": "ask"})
        cls.chatting = begin("[[say: yes]]", chat=True)
        # Signals reach the others, and this one keeps its budget.
        spends = begin("[[say: yes]]", limits={"tokens": 10, "when_over": "ask"})
        cls.budget = cls.ask("GET", f"/api/v1/processes/{spends}")["budget"]
        cls.node = cls.ask("GET", "/api/v1/nodes")["nodes"][0]["id"]

    def known(self, label, name):
        """Values of a parameter that mean something, so that not all is answered with 404."""
        if name == "pid":
            # Whoever waits for one that lives waits long.
            lives = [] if label.endswith("/wait") else [self.asking, self.chatting]
            return [str(self.ended), f"p{self.ended}", *map(str, lives)]
        return {
            "id": [f"p{self.asking}.c1"] if "approvals" in label else [self.node],
            "budget": [str(self.budget)],
            "page": ["1"],
            "path": ["made.txt"],
        }[name]

    def call(self, case):
        """Asks, checks what is answered, and gives its status."""
        answers = operations(self.document)[case.operation.method, case.operation.path]["responses"]
        if STREAM not in answers.get("200", {}).get("content", {}):
            answer = case.call(session=self.session, timeout=SECONDS_MAX)
            case.validate_response(answer, checks=CHECKS)
            return answer.status_code
        # A stream need not end, so only its head is looked at.
        words = case.as_transport_kwargs(base_url=self.kernel.url)
        with self.session.request(**words, stream=True, timeout=SECONDS_MAX) as answer:
            if answer.status_code == 200:
                self.assertTrue(answer.headers["content-type"].startswith(STREAM), answer.headers)
            else:
                case.validate_response(answer, checks=CHECKS)
            return answer.status_code

    def cases(self, operation, mode):
        """Asks what the description allows, or does not. Gives the statuses of the answers."""
        statuses = []
        names = {
            parameter.name: parameters
            for parameters in ("path_parameters", "query") for parameter in getattr(operation, parameters)
            if parameters == "path_parameters" or parameter.name == "path"
        }
        known = strategies.fixed_dictionaries({}, optional={
            name: strategies.sampled_from(self.known(operation.label, name)) for name in names
        })

        @seed(SEED)
        @settings(
            max_examples=EXAMPLES, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), known=known)
        def ask(case, known):
            if mode == GenerationMode.POSITIVE:
                for name, value in known.items():
                    getattr(case, names[name])[name] = value
                if operation.label == POLICY and len(statuses) % 2:
                    case.body = {"policy": "fifo"}
            statuses.append(self.call(case))

        ask()
        return statuses

    def test_everything_that_is_described(self):
        tested = {}
        for found in self.schema.get_all_operations():
            operation = found.ok()
            with self.subTest(operation.label):
                statuses = self.cases(operation, GenerationMode.POSITIVE)
                tested[operation.method, operation.path] = statuses
                self.assertTrue(any(status < 300 for status in statuses), f"nothing is ever done: {statuses}")
        self.assertEqual(set(tested), set(operations(json.loads(KEPT.read_text()))))
        self.assertGreater(len(tested), 25)

    def test_what_the_description_does_not_allow(self):
        for found in self.schema.get_all_operations():
            operation = found.ok()
            if not list(operation.iter_parameters()) and not operation.body:
                continue
            with self.subTest(operation.label):
                statuses = self.cases(operation, GenerationMode.NEGATIVE)
                self.assertTrue(any(status >= 400 for status in statuses), f"all is taken: {statuses}")

    def test_the_edges_of_what_is_allowed(self):
        for found in self.schema.get_all_operations():
            operation = found.ok()
            config = self.schema.config.generation_for(operation=operation)
            edges = self.schema.iter_coverage_cases(
                operation, generation_modes=list(GenerationMode), generation_config=config)
            with self.subTest(operation.label):
                for case in itertools.islice(edges, EDGES_MAX):
                    self.call(case)


def operations(document):
    """The operations of a description, by method and path."""
    return {
        (method, path): operation
        for path, methods in document["paths"].items() for method, operation in methods.items()
    }


if __name__ == "__main__":
    unittest.main()
