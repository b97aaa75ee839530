"""RecTools' SASRecModel with its softmax loss, in RecTools' own environment."""

import time
import warnings

import pandas as pd
import torch
from peer_clock import JOB, Clock, peak_mb, report
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

CLOCK = Clock()


class Steps(Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        CLOCK.step(int((batch["y"] != 0).sum()))


def trainer() -> Trainer:
    return Trainer(
        max_steps=JOB["warmup"] + JOB["steps"], accelerator="cpu", devices=1, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, callbacks=[Steps()],
    )  # fmt: skip


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(JOB["threads"])
    torch.manual_seed(0)
    names = {"user": Columns.User, "item": Columns.Item, "time": Columns.Datetime}
    events = pd.read_csv(JOB["events"]).rename(columns=names)
    events[Columns.Weight] = 1
    events[Columns.Datetime] = pd.to_datetime(events[Columns.Datetime], unit="s")
    dataset = Dataset.construct(events)
    model = SASRecModel(
        n_blocks=2, n_heads=1, n_factors=JOB["width"], dropout_rate=0.1, session_max_len=JOB["length"],
        loss="softmax", lr=1e-3, batch_size=JOB["batch"], get_trainer_func=trainer, recommend_torch_device="cpu",
    )  # fmt: skip
    model.fit(dataset)
    peak = peak_mb()
    users = events[Columns.User].unique()[: JOB["top_users"]]
    started = time.perf_counter()
    model.recommend(users=users, dataset=dataset, k=10, filter_viewed=True)
    seconds = time.perf_counter() - started
    report("rectools", CLOCK, peak, seconds, "SASRecModel, softmax over all items at all B·L places; a target a place")


if __name__ == "__main__":
    main()
