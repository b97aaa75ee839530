"""RePlay's SasRec with its CE loss, fed by its ParquetModule, in RePlay's own environment."""

import time
import warnings

import lightning
import pandas as pd
import torch
from peer_clock import JOB, Clock, peak_mb, report, scratch
from replay.data import FeatureHint, FeatureSource, FeatureType
from replay.data.nn import ParquetModule, TensorFeatureInfo, TensorFeatureSource, TensorSchema
from replay.nn.lightning import LightningModule
from replay.nn.lightning.callback import PandasTopItemsCallback
from replay.nn.lightning.optimizer import OptimizerFactory
from replay.nn.sequential import SasRec
from replay.nn.transform.template import make_default_sasrec_transforms

CLOCK = Clock()


class Steps(lightning.Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        CLOCK.step(int(batch["target_padding_mask"].sum()))


def schema() -> TensorSchema:
    source = TensorFeatureSource(FeatureSource.INTERACTIONS, "item_id")
    return TensorSchema(
        TensorFeatureInfo(
            name="item_id",
            is_seq=True,
            feature_type=FeatureType.CATEGORICAL,
            feature_hint=FeatureHint.ITEM_ID,
            feature_sources=[source],
            embedding_dim=JOB["width"],
            cardinality=JOB["items"],
            padding_value=JOB["items"],
        )
    )


def trainer(**settings: object) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0, **settings,
    )  # fmt: skip


def module(file: str, stage: str, length: int) -> ParquetModule:
    shapes = {"item_id": {"shape": length, "padding": JOB["items"]}}
    if stage == "predict":
        shapes["user_id"] = {}
    return ParquetModule(
        batch_size=JOB["batch"],
        metadata={stage: shapes},
        transforms={stage: make_default_sasrec_transforms(schema())[stage]},
        **{f"{stage}_path": file},
    )


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(JOB["threads"])
    lightning.seed_everything(0, verbose=False)
    events = pd.read_csv(JOB["events"])
    rows = events.groupby("user")["item"].agg(list).reset_index()
    rows.columns = ["user_id", "item_id"]
    all_users, some_users = scratch("replay") / "all.parquet", scratch("replay") / "some.parquet"
    rows.to_parquet(all_users)
    rows.head(JOB["top_users"]).to_parquet(some_users)
    model = SasRec.from_params(
        schema(), embedding_dim=JOB["width"], num_heads=1, num_blocks=2, max_sequence_length=JOB["length"], dropout=0.1
    )
    wrapped = LightningModule(model, optimizer_factory=OptimizerFactory(learning_rate=1e-3))
    steps = trainer(max_steps=JOB["warmup"] + JOB["steps"], callbacks=[Steps()])
    steps.fit(wrapped, datamodule=module(str(all_users), "train", JOB["length"] + 1))
    peak = peak_mb()
    lists = PandasTopItemsCallback(top_k=10, query_column="user_id", item_column="item_id")
    started = time.perf_counter()
    wrapped.eval()
    trainer(callbacks=[lists]).predict(
        wrapped, datamodule=module(str(some_users), "predict", JOB["length"]), return_predictions=False
    )
    seconds = time.perf_counter() - started
    report(
        "replay-rec", CLOCK, peak, seconds, "SasRec, CE over all items at all B·L places; lists do not hide the seen"
    )


if __name__ == "__main__":
    main()
