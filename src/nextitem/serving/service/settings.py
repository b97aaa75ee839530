"""How a service behaves: where it listens, how much it takes on at a time, and how long anybody may take."""

from pydantic import Field

from nextitem.settings.configuration import Configuration

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Where nobody from another machine can ask."""


class ServiceSettings(Configuration):
    """Settings of `nextitem serve`; the defaults are for one service on a machine of a few cores."""

    host: str = "127.0.0.1"
    """Address to listen at; anything but this machine's own asks every caller for a token."""
    port: int = Field(8000, ge=0, le=65535)
    """Port to listen at; 0: any that is free, which is printed."""
    queue: int = Field(64, ge=1, le=100_000)
    """Questions that may wait for the model at a time; what comes beyond is refused at once with 503. After a pause of
    the machine it may be four times as many."""
    wait: float = Field(0.045, gt=0, le=60)
    """Seconds that a question may be expected to wait for those before it; what comes beyond is refused as well.
    Beyond the capacity answers take up to about twice as long. After a pause of the machine
    it may be longer."""
    batch: int = Field(32, ge=1, le=1024)
    """Questions that the model answers in one pass at most; it takes what is waiting and never waits for more."""
    deadline: float = Field(0.25, gt=0, le=60)
    """Seconds from a request's arrival that the model may take; the most popular items are the answer after that, and
    it says so. Of several questions in one request, from when the turn of each comes."""
    looking_seconds: float = Field(2.0, gt=0, le=60)
    """Seconds from a request's arrival in which similar items, given items in order and explanations have to be there;
    after that the answer is 503, since no popular items could stand in for them."""
    threads: int = Field(1, ge=1, le=1024)
    """CPU threads that the model computes with."""
    body_bytes: int = Field(1 << 20, ge=1024)
    """Bytes that a request's body may have; larger ones are refused with 413 before they are read."""
    body_seconds: float = Field(5.0, gt=0)
    """Seconds in which a body must have come, from the end of its headers."""
    header_seconds: float = Field(5.0, gt=0)
    """Seconds in which the headers of a request must have come, from its connection or its first byte."""
    drain_seconds: float = Field(1.0, ge=0, le=60)
    """Seconds for which questions are still taken after the service was told to end: /health/ready says 503, and each
    answer asks its caller to close the connection, so that callers go elsewhere and none is cut off."""
    stop_seconds: float = Field(7.0, gt=0, le=60)
    """Seconds that what was accepted may still take once nothing more is taken."""
    connections: int = Field(4096, ge=16)
    """Connections that may be open at a time; further ones wait until one is closed."""
    reload_every: float | None = Field(None, gt=0, le=86_400)
    """Seconds between two looks for newer versions of the models, where they lie; None: a model is loaded again when
    somebody asks for it."""
    log_ids: bool = False
    """Whether log lines name users; no other ids are ever logged."""

    @property
    def is_for_this_machine_alone(self) -> bool:
        """Whether nobody from another machine can ask."""
        return self.host in LOOPBACK
