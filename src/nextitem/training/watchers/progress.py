"""Training as it goes: a live table on a terminal, one plain line an epoch elsewhere; always on stderr."""

import time

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from nextitem.training.history import Epoch, History
from nextitem.training.training import Training
from nextitem.words import time_left, visible


def line(epoch: Epoch, history: History, training: Training) -> str:
    """One epoch in words."""
    loss = "" if epoch.validation_loss is None else f"  validation loss {epoch.validation_loss:.4f}"
    value = epoch.validation.get(training.monitor)
    monitored = "" if value is None else f"  {training.monitor} {value:.4f}"
    best = " (best)" if history.best_epoch == epoch.epoch else f" (best {history.best_epoch})"
    best = best if training.kept_epoch == "best" else ""
    return (
        f"epoch {epoch.epoch}  loss {epoch.train_loss:.4f}{loss}{monitored}{best}  "
        f"{epoch.positions_per_second:,.0f} positions/s  {epoch.train_seconds:.1f} s"
    )


class PlainLog:
    """One line an epoch, for log files and pipes."""

    def __init__(self, console: Console, training: Training, title: str) -> None:
        self.console, self.training = console, training
        console.print(visible(title), highlight=False, markup=False, soft_wrap=True)

    def step(self, epoch: int, step: int, steps: int) -> None:
        """Nothing: a log is read afterwards."""

    def epoch(self, epoch: Epoch, history: History) -> None:
        """Print the epoch."""
        self.console.print(line(epoch, history, self.training), highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Nothing to close."""


class LiveTable:
    """The latest epochs, how far the present one is, and how long the rest takes at most."""

    def __init__(self, console: Console, training: Training, title: str) -> None:
        self.console, self.training, self.title = console, training, title
        self.history = History()
        self.position, self.started, self.steps_done = "starting", time.monotonic(), 0
        self.live = Live(self._table(), console=console, refresh_per_second=4, transient=False)
        self.live.start()

    def step(self, epoch: int, step: int, steps: int) -> None:
        """Advance the present epoch."""
        self.steps_done += 1
        # Epochs that a resumed run did before are not in the pace.
        pace = (time.monotonic() - self.started) / self.steps_done
        # Of a batch that grows how many windows there are is known to within a step, which no time left shows.
        windows = steps * self.training.batch_size_of(epoch)
        left = pace * (self.training.most_steps(windows) - self.training.steps_before(epoch, windows) - step)
        epochs = self.training.most_epochs(windows)
        self.position = f"epoch {epoch}/{epochs}, step {step}/{steps}, at most {time_left(left)} left"
        self.live.update(self._table())

    def epoch(self, epoch: Epoch, history: History) -> None:
        """Add a row."""
        self.history = history
        self.live.update(self._table())

    def close(self) -> None:
        """Leave the table as it is."""
        self.live.stop()

    def _table(self) -> Table:
        """The latest epochs, with as many columns as there is room for: none is cut."""
        table = Table(
            title=Text(visible(self.title)), caption=self.position, title_justify="left", caption_justify="left"
        )
        epochs = self.history.epochs[-12:]
        rows = [self._cells(epoch) for epoch in epochs]
        columns = ["epoch", "loss", "validation loss", self.training.monitor, "positions/s", "seconds"]
        for name in ("validation loss", "positions/s", "seconds"):
            widths = [max(map(len, (column, *(row[column] for row in rows)))) for column in columns]
            if 1 + sum(width + 3 for width in widths) > self.console.width:
                columns.remove(name)
        for name in columns:
            table.add_column(name, justify="right", overflow="fold")
        for epoch, row in zip(epochs, rows, strict=True):
            is_best = self.training.kept_epoch == "best" and epoch.epoch == self.history.best_epoch
            table.add_row(*(row[name] for name in columns), style="bold green" if is_best else None)
        return table

    def _cells(self, epoch: Epoch) -> dict[str, str]:
        """What is told of an epoch, by column."""
        loss, value = epoch.validation_loss, epoch.validation.get(self.training.monitor)
        return {
            "epoch": str(epoch.epoch),
            "loss": f"{epoch.train_loss:.4f}",
            "validation loss": "" if loss is None else f"{loss:.4f}",
            self.training.monitor: "" if value is None else f"{value:.4f}",
            "positions/s": f"{epoch.positions_per_second:,.0f}",
            "seconds": f"{epoch.train_seconds:.1f}",
        }


def watcher(console: Console, training: Training, title: str) -> PlainLog | LiveTable:
    """The display that suits the console."""
    return LiveTable(console, training, title) if console.is_terminal else PlainLog(console, training, title)
