"""TensorBoard: a folder of event files, which `tensorboard --logdir FOLDER` shows."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from nextitem.storage import make_folder, settle, sync
from nextitem.training.history import Epoch, History
from nextitem.training.watchers.tracker import Ending, numbers_of


class TensorBoard:
    """One folder a training, `<folder>/<time>-<name>`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, object] = {}
        self.writer: SummaryWriter | None = None
        self.epochs_told = 0

    def start(self, name: str, settings: Mapping[str, object]) -> None:
        """Open the folder."""
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        make_folder(self.folder)
        self.writer = SummaryWriter(str(self.folder / f"{stamp}-{name}"))
        plain = (str, int, float)  # a list is none of them
        self.settings = {
            key: "none" if value is None else value if isinstance(value, plain) else str(value)
            for key, value in settings.items()
        }
        lines = "\n".join(f"    {key} = {value}" for key, value in self.settings.items())  # indented: as it stands
        self.writer.add_text("settings", lines)

    def step(self, epoch: int, step: int, steps: int) -> None:
        """Nothing: what is known is known after an epoch."""

    def epoch(self, epoch: Epoch, history: History) -> None:
        """A point in every curve, also for epochs before a training was resumed."""
        if self.writer is None:
            return
        for past in history.epochs[self.epochs_told :]:
            for name, value in numbers_of(past).items():
                self.writer.add_scalar(name, value, past.epoch)
        self.epochs_told = len(history.epochs)
        self.writer.flush()

    def finish(self, results: Mapping[str, float]) -> None:
        """Settings and results as a row of the table of trainings."""
        if self.writer is not None:
            self.writer.add_hparams(self.settings, dict(results), run_name=".")

    def close(self, ending: Ending) -> None:
        """Close the file and put it on disk; TensorBoard has no word for how a training ended."""
        if self.writer is not None:
            self.writer.close()
            settle(Path(self.writer.get_logdir()))
            sync(self.folder)
