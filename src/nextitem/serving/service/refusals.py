"""What a caller is told who gets no answer: a status, and one JSON object with a code, the fact and the remedy."""

import math
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import Response

STATUSES: Mapping[str, int] = {
    "bad_json": 400,
    "no_token": 401,
    "not_found": 404,
    "no_model": 404,
    "no_store": 404,
    "method_not_allowed": 405,
    "body_timeout": 408,
    "conflict": 409,
    "artefact": 409,
    "too_large": 413,
    "not_json": 415,
    "invalid": 422,
    "internal": 500,
    "over_capacity": 503,
    "deadline": 503,
    "stopping": 503,
    "not_ready": 503,
    "storage": 503,
}
"""Every code and its status."""


class Problem(BaseModel):
    """Why there is no answer, and what to do about it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "code": "invalid",
                    "message": "k: should be at least 1, and is 0",
                    "remedy": "ask for 1 to 1000 recommendations",
                }
            ]
        }
    )

    code: str
    """One of a short list of words, for programs."""
    message: str
    """The fact, with its place and numbers, for people."""
    remedy: str
    """What to do about it."""


class RefusedError(HTTPException):
    """A request that is not answered; its code decides the status."""

    def __init__(self, code: str, message: str, remedy: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(STATUSES[code], message, dict(headers) if headers else None)
        self.problem = Problem(code=code, message=message, remedy=remedy)

    def response(self) -> Response:
        """The refusal as what is sent."""
        return Response(
            self.problem.model_dump_json(), self.status_code, media_type="application/json", headers=self.headers
        )


def over_capacity(waiting: int, seconds: float) -> RefusedError:
    """The refusal of what comes while as many wait as may, which will take about so many seconds."""
    return RefusedError(
        "over_capacity",
        f"{waiting:,} questions are waiting for the model, which takes it {seconds:.2g} seconds; no more may wait",
        "ask again after the seconds in Retry-After, or start the service on more machines",
        {"retry-after": f"{max(1, math.ceil(seconds))}"},
    )


def too_late(seconds: float) -> RefusedError:
    """The refusal of what was taken on and is not done after so many seconds from its arrival."""
    return RefusedError(
        "deadline",
        f"it was not done within {seconds:g} seconds, since others were answered in between",
        "ask again after the seconds in Retry-After, about fewer items or less of the history (`latest`)",
        {"retry-after": "1"},
    )


def documented(*codes: str) -> dict[int | str, dict[str, object]]:
    """The refusals of a route, for OpenAPI: these codes and those that every route may answer with."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys([*codes, "invalid", "no_token", "stopping"]):
        by_status.setdefault(STATUSES[code], []).append(code)
    return {
        status: {"model": Problem, "description": "Refused: " + ", ".join(f"`{code}`" for code in found)}
        for status, found in sorted(by_status.items())
    }


OF_BODIES = ("bad_json", "not_json", "body_timeout", "too_large", "invalid")
"""What may be wrong with a request that has a body."""
