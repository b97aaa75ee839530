"""What a service is asked by a client."""

from dataclasses import dataclass, field

from nextitem.errors import ConfigurationError


@dataclass(frozen=True)
class Request:
    """What a service is asked."""

    method: str
    path: str
    body: object = None
    """Sent as JSON; None: nothing is."""
    parameters: dict[str, str | int] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    may_come_twice: bool = True
    """Whether it does no more than once when it arrives twice."""
    is_patient: bool = True
    """Whether it comes again at all."""


def check_header(name: str, value: str | None) -> None:
    """Raise ConfigurationError for what no header can carry; the value is not shown, since it may be a secret."""
    if value is not None and not (value and value.isascii() and value.isprintable() and value.strip() == value):
        raise ConfigurationError(f"{name} has to be a text of printable ASCII, without blanks around it; give another")
