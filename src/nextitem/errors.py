"""What can go wrong, as a tree of exceptions; each class carries the exit code of the command line.

Every message states the fact, the numbers, the place and the remedy. 0 is success, 130 an interruption.
"""


class NextitemError(Exception):
    """Anything that nextitem reports on purpose; its text is meant for the user."""

    exit_code = 1


class ConfigurationError(NextitemError, ValueError):
    """A setting, a name or a combination of them cannot be used."""

    exit_code = 2


class DataError(NextitemError, ValueError):
    """A file of events, a history or an id is not what it must be."""

    exit_code = 3


class ArtefactError(NextitemError):
    """A run folder or a checkpoint is missing, incomplete, altered or of another make."""

    exit_code = 4


class StorageError(NextitemError):
    """A file could not be written or read for a reason outside its content."""

    exit_code = 5


class ServiceError(NextitemError):
    """A service did not answer a client: it refused, or it could not be reached in time."""

    exit_code = 5

    def __init__(self, message: str, code: str = "unreachable", status: int | None = None, remedy: str = "") -> None:
        super().__init__(message)
        self.code = code
        """One of a short list of words: that of the service's refusal, or `unreachable`, `timeout`, `unexpected`."""
        self.status = status
        """Of the HTTP answer; None where none came."""
        self.remedy = remedy
        """What to do about it, as the service says it."""


class ScoreError(NextitemError, ArithmeticError):
    """A model returned scores that cannot be ranked (NaN)."""

    exit_code = 1


class TrainingError(NextitemError, ArithmeticError):
    """Training diverged or cannot go on."""

    exit_code = 1
