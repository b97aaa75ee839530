"""RecBole's SASRec with its CE loss, in RecBole's own environment. Its trainer is its own; only its end is earlier."""

import contextlib
import time
import warnings

import numpy as np
import pandas as pd
import torch
from peer_clock import JOB, Clock, peak_mb, report, scratch

# RecBole 1.2.1 names aliases that NumPy 2 removed.
for alias, kind in (("float_", np.float64), ("complex_", np.complex128), ("unicode_", np.str_), ("bool8", np.bool_)):
    if not hasattr(np, alias):
        setattr(np, alias, kind)

from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.data.interaction import Interaction  # noqa: E402
from recbole.model.sequential_recommender import SASRec  # noqa: E402
from recbole.trainer import Trainer  # noqa: E402
from recbole.utils import init_seed  # noqa: E402


class Enough(Exception):  # noqa: N818
    pass


class Steps:
    """The training data of a limited number of steps: a step ends where the trainer asks for the next batch."""

    def __init__(self, batches: object, clock: Clock) -> None:
        self.batches, self.clock = batches, clock

    def __getattr__(self, name: str) -> object:
        return getattr(self.batches, name)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self):
        for step, batch in enumerate(self.batches):
            if step == JOB["warmup"] + JOB["steps"]:
                raise Enough
            yield batch
            self.clock.step(len(batch))


def config() -> Config:
    folder = scratch("recbole/log")
    names = {"user": "user_id:token", "item": "item_id:token", "time": "timestamp:float"}
    pd.read_csv(JOB["events"]).rename(columns=names).to_csv(folder / "log.inter", sep="\t", index=False)
    settings = {
        "data_path": str(folder.parent), "checkpoint_dir": str(folder), "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id", "TIME_FIELD": "timestamp", "MAX_ITEM_LIST_LENGTH": JOB["length"],
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]}, "train_neg_sample_args": None,
        "eval_args": {"split": {"RS": [1.0, 0.0, 0.0]}, "order": "TO", "group_by": "user", "mode": "full"},
        "train_batch_size": JOB["batch"], "loss_type": "CE", "n_layers": 2, "n_heads": 1, "hidden_size": JOB["width"],
        "inner_size": JOB["width"], "hidden_act": "relu", "hidden_dropout_prob": 0.1, "attn_dropout_prob": 0.1,
        "learning_rate": 1e-3, "use_gpu": False, "show_progress": False, "state": "ERROR", "log_wandb": False,
    }  # fmt: skip
    return Config(model="SASRec", dataset="log", config_dict=settings)


def ten_best_seconds(model: SASRec, dataset: object) -> float:
    """Seconds for lists from `full_sort_predict` and `topk`, each user's latest events as the query."""
    events = pd.read_csv(JOB["events"])
    started = time.perf_counter()
    histories = [rows for _, rows in events.groupby("user")["item"]][: JOB["top_users"]]
    model.eval()
    with torch.no_grad():
        for start in range(0, len(histories), JOB["batch"]):
            part = histories[start : start + JOB["batch"]]
            items = torch.zeros(len(part), JOB["length"], dtype=torch.int64)
            lengths = torch.tensor([min(len(rows), JOB["length"]) for rows in part])
            seen = [torch.tensor(dataset.token2id("item_id", rows.astype(str).to_numpy())) for rows in part]
            for row, ids, length in zip(items, seen, lengths.tolist(), strict=True):
                row[:length] = ids[-length:]
            query = Interaction({model.ITEM_SEQ: items, model.ITEM_SEQ_LEN: lengths})
            scores = model.full_sort_predict(query)
            for row, ids in zip(scores, seen, strict=True):
                row[ids] = -torch.inf
            scores.topk(10)
    return time.perf_counter() - started


def main() -> None:
    warnings.simplefilter("ignore")
    settings = config()
    init_seed(0, reproducibility=True)
    torch.set_num_threads(JOB["threads"])
    dataset = create_dataset(settings)
    train, _, _ = data_preparation(settings, dataset)
    model = SASRec(settings, train.dataset)
    clock = Clock()
    with contextlib.suppress(Enough):
        Trainer(settings, model)._train_epoch(Steps(train, clock), 0)
    peak = peak_mb()
    said = "SASRec, CE over all items; a row for each target (a history of n events is n − 1 rows), so B targets a step"
    report("recbole", clock, peak, ten_best_seconds(model, dataset), said)


if __name__ == "__main__":
    main()
