"""Who may ask: on this machine alone anybody, elsewhere whoever has the token."""

import base64
import binascii
import hmac
import os
from pathlib import Path

from nextitem.errors import ConfigurationError
from nextitem.serving.service.settings import ServiceSettings
from nextitem.storage import content_of

VARIABLE = "NEXTITEM_TOKEN"
_LEAST = 16  # characters; a shorter one can be guessed
OPEN = ("/health/",)
"""Beginnings of paths that ask for no token: whoever starts and stops services does not have it."""


class Token:
    """A secret that requests have to bring; it is compared in constant time and shown nowhere."""

    def __init__(self, secret: str) -> None:
        """Raises ConfigurationError for one that is too short, or that no header can carry."""
        if len(secret) < _LEAST or not secret.isascii() or not secret.isprintable() or " " in secret:
            raise ConfigurationError(
                f"the token has {len(secret)} characters; it needs {_LEAST} or more, printable ASCII without blanks, "
                f"such as the output of: openssl rand -hex 32"
            )
        self._secret = secret.encode()

    def fits(self, header: bytes) -> bool:
        """Whether an `Authorization` header holds the token: as Bearer, or as the password of any user (Basic).

        Browsers ask their users for the latter by themselves.
        """
        kind, _, given = header.partition(b" ")
        if kind.lower() == b"basic":
            try:
                given = base64.b64decode(given, validate=True).partition(b":")[2]
            except binascii.Error:
                return False
        elif kind.lower() != b"bearer":
            return False
        return hmac.compare_digest(given, self._secret)

    def __repr__(self) -> str:
        return "Token(…)"


def token_of(file: Path | None, settings: ServiceSettings) -> Token | None:
    """The token in a file, or else in NEXTITEM_TOKEN; None where there is neither and nobody from elsewhere can ask.

    Raises ConfigurationError where others can ask and there is none, or none that is good enough; StorageError for a
    file that cannot be read.
    """
    secret = os.environ.get(VARIABLE)
    if file is not None:
        secret = content_of(file).decode(errors="replace").strip()
    if secret:
        return Token(secret)
    if settings.is_for_this_machine_alone:
        return None
    raise ConfigurationError(
        f"--host {settings.host} can be reached from other machines, and there is no token; set {VARIABLE} or "
        f"--token-file, or listen at 127.0.0.1"
    )
