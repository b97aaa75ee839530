"""Ask a running service what its OpenAPI says may be asked, and what may not, and compare the answers with it.

    nextitem serve runs/RUN --events events.db
    python tools/contract.py http://127.0.0.1:8000 --columns genres year    600 requests a route, minutes
    python tools/contract.py http://127.0.0.1:8000 --examples 20 --seed 1

A third of the requests fits the description, a third is spoilt in one place, and a third fits it with known items,
users, models and columns in it, which reaches further than to refusals. Each answer has to have a status, a type and a
shape that the description names for the route, none is 500, and what is spoilt is not accepted. What is asked changes
what the service stores: give it a database of its own. What breaks is shrunk and printed; exit code 1 then.
"""

import argparse
import sys
import time
from collections import Counter
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance, negative_data_rejection,
]  # fmt: skip
POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
TOO_LARGE = 413
FREELY: dict[str, Any] = {"database": None, "deadline": None, "suppress_health_check": [*HealthCheck]}
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
KNOWN = 5  # of each that are told to the generator by name


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("address")
    parser.add_argument("--examples", type=int, default=200, help="requests of each sort, for each route")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--users", nargs="*", default=["1", "2"], help="ids of users that are asked about")
    parser.add_argument("--columns", nargs="*", default=["genres", "year"], help="columns of the items")
    options = parser.parse_args()
    with httpx.Client(base_url=options.address, timeout=60) as client:
        plain = client.get("/openapi.json").json()
        known = with_known(plain, known_by(client, options))
    start, is_kept, total = time.monotonic(), True, Counter[int]()
    print(f"seed {options.seed}")
    for each, reaching in zip(operations(plain), operations(known), strict=True):
        answers = Counter[int]()
        for operation, mode in ((each, POSITIVE), (each, NEGATIVE), (reaching, POSITIVE)):
            is_kept &= asked(operation, mode, options, answers)
        total += answers
        print(f"{each.label:35}", ", ".join(f"{status}: {count}" for status, count in sorted(answers.items())))
    verdict = "all as described" if is_kept else "NOT as described"
    print(f"{total.total():,} requests in {time.monotonic() - start:.0f} s: {verdict}; seed {options.seed}")
    return 0 if is_kept else 1


def operations(description: Any) -> list[Any]:
    """What can be asked: a method of a path."""
    return [each.ok() for each in schemathesis.openapi.from_dict(description).get_all_operations()]


def known_by(client: httpx.Client, options: argparse.Namespace) -> dict[str, list[Any]]:
    """Values that mean something to the service, by what they name; the last of each is unknown."""
    items = [one["item"] for one in client.get("/v1/items", params={"limit": KNOWN}).json()["items"]]
    models = [one["name"] for one in client.get("/v1/models").json()]
    users = [*options.users, "nobody"]
    return {
        "id": [*items, *users],
        "item": [*items, "nothing"],
        "user": users,
        "name": [*models, "none"],
        "columns": [*options.columns, "none"],
    }


def with_known(description: Any, known: dict[str, list[Any]], key: str = "") -> Any:
    """The description, in which ids, models, columns and parameters of paths are known ones."""
    if isinstance(description, list):
        return [with_known(one, known, key) for one in description]
    if not isinstance(description, dict):
        return description
    found = {name: with_known(value, known, name) for name, value in description.items()}
    if found.get("in") == "path" and found["name"] in known:
        return {**found, "schema": {"enum": [str(value) for value in known[found["name"]]]}}
    kinds = [one.get("type") for one in found.get("anyOf", []) if isinstance(one, dict)]
    if kinds == ["integer", "string"] and "maxLength" in found["anyOf"][1]:  # an id that is sent, not one that comes
        return {"enum": known["id"]}
    if key == "model" and kinds == ["string", "null"]:
        return {"enum": [None, *known["name"]]}
    if key == "hide" and kinds == ["string", "null"]:
        return {"enum": [None, "history", "nothing", "last:2", "last:x"]}
    if key in ("where", "limits", "features", "anyOf") and "additionalProperties" in found:
        return {**found, "propertyNames": {"enum": known["columns"]}}
    return found


def asked(operation: Any, mode: GenerationMode, options: argparse.Namespace, answers: Counter[int]) -> bool:
    """Whether the answers to all that was asked of an operation in one mode are as described."""

    @seed(options.seed)
    @settings(
        max_examples=options.examples, phases=PHASES, database=None, deadline=None, suppress_health_check=[*HealthCheck]
    )
    def ask(case: Any) -> None:
        response = case.call(base_url=options.address, timeout=60)
        answers[response.status_code] += 1
        # Schemathesis does not count "too large" among refusals.
        case.validate_response(response, checks=CHECKS[:-1] if response.status_code == TOO_LARGE else CHECKS)

    try:
        strategy = operation.as_strategy(generation_mode=mode)
        given(case=strategy)(ask)()
    except Unsatisfiable:
        return mode == NEGATIVE  # any text is a value of a path, so that nothing can be spoilt
    except FailureGroup as failures:
        print(f"{operation.label}: {failures}\n" + "\n".join(str(one) for one in failures.exceptions))
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
