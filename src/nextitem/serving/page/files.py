"""The files the page is made with: style, keys, htmx (its licence beside it) and an icon, read once."""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent."""

    content: bytes
    kind: str
    tag: str


def _read() -> dict[str, StaticFile]:
    found = {}
    for file in (files("nextitem.serving.page") / "static").iterdir():
        content = file.read_bytes()
        kind = _KINDS["." + file.name.rpartition(".")[2]]
        found[file.name] = StaticFile(content, f"{kind}; charset=utf-8", f'"{sha256(content).hexdigest()[:16]}"')
    return found


FILES = _read()
"""By name; what is not here is not sent, so no path leads out of the folder."""
