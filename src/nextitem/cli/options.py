"""What several verbs read from their options alike."""

from collections.abc import Sequence
from pathlib import Path

import torch

from nextitem.data.reading.files import parse_columns
from nextitem.engine.entries import Entry
from nextitem.errors import ConfigurationError
from nextitem.evaluation.metrics import parse_metric
from nextitem.evaluation.scoring import Scorer
from nextitem.experiment.presets import load_preset, resolve_recipe
from nextitem.settings.suggestion import suggest


def metrics_of(text: str) -> list[str]:
    """Metrics as they are typed. Raises ConfigurationError for an unknown one, and for one that is named twice."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        parse_metric(name)
        if names.count(name) > 1:
            raise ConfigurationError(f"--metrics {text} names {name} more than once; name each metric once")
    return names


def entry_of(word: str, overrides: Sequence[str] = (), columns: str = "", label: str | None = None) -> Entry:
    """A recipe by name or file, with overrides as they are typed. Raises ConfigurationError."""
    preset = load_preset(word)
    recipe = resolve_recipe(preset, overrides, parse_columns(columns) if columns else None).value
    return Entry(label or preset.name, recipe)


def make_report(folder: Path, scorer: Scorer) -> None:
    """report.html in the folder of a run that is about to be stored."""
    # Here, because matplotlib takes half a second to import, which only those who want a report should wait.
    from nextitem.report.run.page import report_into

    report_into(folder, scorer)


def device_of(name: str) -> torch.device:
    """The device of a name; `auto` is CUDA where there is one. Raises ConfigurationError for one that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise ConfigurationError(f"--device {name}: {suggest(name, ['auto', 'cpu', 'cuda'])}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("--device cuda: this torch sees no CUDA device; use --device cpu")
    return torch.device(name)
