"""Whether content is that of a public dataset: by its length and git's id, which is what the origins publish."""

import hashlib
from typing import BinaryIO

from nextitem.data.description import Description

CHUNK = 1 << 20  # bytes


def difference(content: BinaryIO, description: Description, size: int | None) -> str:
    """How content differs from the described one, "" where it is the same.

    `size` is how many bytes it must have: a git blob id begins with that.
    """
    if size is None:
        return "its size is unknown: the server announces none"
    # SHA-1 because git's ids are what the origins publish: it tells versions apart, it does not authenticate.
    digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    received = 0
    while received <= size and (chunk := content.read(CHUNK)):
        received += len(chunk)
        digest.update(chunk)
    if received > size:
        return f"it has more than the expected {size:,} bytes"
    if received < size:
        return f"it has {received:,} bytes, expected {size:,}"
    actual = digest.hexdigest()
    return "" if actual == description.git_blob else f"its git blob id is {actual}, expected {description.git_blob}"
