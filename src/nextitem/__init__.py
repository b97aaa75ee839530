"""Next-item recommendation you can trust: from an event log to a compared, explained, served model."""

from importlib.metadata import version

__version__ = version("nextitem")
