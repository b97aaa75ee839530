"""What is shown of a training: a live table on a terminal, plain lines elsewhere."""

import re
from collections.abc import Iterator
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from nextitem.training.history import Epoch, History
from nextitem.training.training import Training
from nextitem.training.watchers import progress
from nextitem.training.watchers.progress import LiveTable, PlainLog, watcher

TRAINING = Training(epochs=20)
TITLE = "sasrec-ce on events[1].csv, seed 0, cpu"  # brackets are markup to rich
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def epochs(values: list[float], losses: list[float | None] | None = None) -> Iterator[tuple[Epoch, History]]:
    """Each epoch with the history up to it, as `fit_model` tells them."""
    history = History()
    for number, value in enumerate(values, 1):
        loss = losses[number - 1] if losses else 2.5
        history.epochs.append(Epoch(number, 3.0 / number, loss, {"ndcg@10": value}, 1.5, 12_345.6))
        history.best_epoch = 1 + values[:number].index(max(values[:number]))
        yield history.epochs[-1], history


def terminal(width: int = 120) -> Console:
    return Console(file=StringIO(), force_terminal=True, width=width, color_system="standard", legacy_windows=False)


def shown(console: Console) -> str:
    """All that was written, without the movements of the cursor and the colours."""
    assert isinstance(console.file, StringIO)
    return CONTROLS.sub("", console.file.getvalue())


def last_frame(console: Console) -> list[str]:
    """The lines of the table as it was left."""
    return shown(console).rpartition(TITLE)[2].splitlines()


def test_a_terminal_gets_a_table_and_a_file_gets_lines() -> None:
    table = watcher(terminal(), TRAINING, TITLE)
    table.close()
    assert isinstance(table, LiveTable)
    assert isinstance(watcher(Console(file=StringIO()), TRAINING, TITLE), PlainLog)


def test_no_epoch_is_best_where_the_last_one_is_kept() -> None:
    console, lasting = Console(file=StringIO()), TRAINING.model_copy(update={"patience": None})
    log = PlainLog(console, lasting, TITLE)
    table = LiveTable(terminal(), lasting, TITLE)
    for epoch, history in epochs([0.1, 0.3]):
        log.epoch(epoch, history)
        table.epoch(epoch, history)
    table.close()
    assert "ndcg@10 0.3000  12,346 positions/s" in shown(console)
    assert isinstance(table.live.console.file, StringIO)
    assert "\x1b[1;32m 0.3000" not in table.live.console.file.getvalue()


def test_the_table_has_a_row_an_epoch_and_its_title_as_it_is() -> None:
    console = terminal()
    table = LiveTable(console, TRAINING, TITLE)
    for epoch, history in epochs([0.1, 0.25], losses=[2.5, None]):
        table.epoch(epoch, history)
    table.close()
    assert TITLE in shown(console)
    rows = [line.replace("│", " ").split() for line in last_frame(console) if line.startswith("│")]
    assert rows == [["1", "3.0000", "2.5000", "0.1000", "12,346", "1.5"], ["2", "1.5000", "0.2500", "12,346", "1.5"]]
    assert all(name in "".join(last_frame(console)) for name in ("validation loss", "ndcg@10", "positions/s"))


def test_the_best_epoch_alone_stands_out() -> None:
    console = terminal()
    table = LiveTable(console, TRAINING, TITLE)
    for epoch, history in epochs([0.1, 0.3, 0.2]):
        table.epoch(epoch, history)
    table.close()
    assert isinstance(console.file, StringIO)
    frame = console.file.getvalue().rpartition("[1].csv")[2]
    bold_green = "\x1b[1;32m"
    assert [row for row in ("0.1000", "0.3000", "0.2000") if f"{bold_green} {row}" in frame] == ["0.3000"]


def test_the_table_keeps_to_the_latest_epochs() -> None:
    console = terminal()
    table = LiveTable(console, TRAINING, TITLE)
    for epoch, history in epochs([0.01 * number for number in range(1, 16)]):
        table.epoch(epoch, history)
    table.close()
    rows = [line.replace("│", " ").split()[0] for line in last_frame(console) if line.startswith("│")]
    assert rows == [str(number) for number in range(4, 16)]  # 12 of 15


def test_steps_tell_where_training_is_and_how_long_it_takes_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    console, clock = terminal(), iter([100.0, 102.0, 104.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    table = LiveTable(console, TRAINING, TITLE)
    table.step(3, 1, 10)  # 2 s a step; 9 steps of this epoch and 17 epochs of 10 are left
    assert table.position == "epoch 3/20, step 1/10, at most 5 min 58 s left"
    table.step(20, 10, 10)
    assert table.position == "epoch 20/20, step 10/10, at most 0 s left"
    table.close()
    assert "epoch 20/20, step 10/10, at most 0 s left" in "".join(last_frame(console))


def test_the_last_of_so_many_steps_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 102.0, 104.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    table = LiveTable(terminal(), TRAINING.model_copy(update={"steps": 15}), TITLE)
    table.step(1, 10, 10)
    assert table.position == "epoch 1/2, step 10/10, at most 10 s left"
    table.step(2, 5, 10)
    assert table.position == "epoch 2/2, step 5/10, at most 0 s left"
    table.close()


def test_what_is_printed_meanwhile_stands_above_the_table() -> None:
    console = terminal()
    table = LiveTable(console, TRAINING, TITLE)
    console.print("note: 3 users are short")
    table.close()
    assert shown(console).index("note: 3 users are short") < shown(console).rindex(TITLE)


def test_a_file_gets_the_title_and_one_line_an_epoch() -> None:
    console = Console(file=StringIO(), width=40)
    log = PlainLog(console, TRAINING, TITLE)
    for epoch, history in epochs([0.3, 0.2], losses=[2.5, None]):
        log.step(epoch.epoch, 1, 1)
        log.epoch(epoch, history)
    log.close()
    assert shown(console).splitlines() == [
        TITLE,
        "epoch 1  loss 3.0000  validation loss 2.5000  ndcg@10 0.3000 (best)  12,346 positions/s  1.5 s",
        "epoch 2  loss 1.5000  ndcg@10 0.2000 (best 1)  12,346 positions/s  1.5 s",
    ]


@pytest.mark.parametrize("width", [120, 80, 60, 40])
def test_a_narrow_terminal_shows_fewer_columns_and_cuts_none(width: int) -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=width, no_color=True)
    table = LiveTable(console, Training(epochs=2), "sasrec-ce on a-file-with-a-name.csv, leave-one-out split, seed 0")
    history = History([Epoch(1, 7.1, 7.2, {"ndcg@10": 0.1234}, 3.0, 123_456.0)], 1)
    table.epoch(history.epochs[0], history)
    table.close()
    text = out.getvalue()
    assert "…" not in text
    assert all(word in text for word in ("7.1000", "0.1234", "ndcg@10"))
    assert ("validation loss" in text, "positions/s" in text) == (width > 70, width > 50)
