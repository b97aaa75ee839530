"""An exported file lists what torch lists, for any batch and length, and says how to ask it."""

import ast
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import polars as pl
import pytest
import torch

from nextitem.data.features.table import ItemFeatures
from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.experiment.folder.reading import read_run
from nextitem.serving.catalogue.changes import CatalogueChanges
from nextitem.serving.export import onnx
from nextitem.serving.export.network import Network
from nextitem.serving.export.onnx import METADATA, export_onnx, exportable
from nextitem.serving.recommender import Recommender
from worlds.small_runs import outcome
from worlds.stored_runs import written

EXAMPLE = Path(__file__).parents[3] / "examples" / "serve_onnx.py"
EXPORTED = ["sasrec-ce", "bert4rec", "gru4rec"]  # of each way to ask an encoder one
CHANGED = "sasrec-ce"
K = 10


class Exported(dict[str, Path]):
    """Files by recipe, each made when it is asked for: an export takes seconds, and processes share these tests.

    The catalogue of one of them has changed since it was trained.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, name: str) -> Path:
        file, folder = self.folder / f"{name}.onnx", written(self.folder / name, name)
        if name == CHANGED:
            new = ItemFeatures(pl.DataFrame({"item": ["z1"], "title": ["New"]}))
            changes = CatalogueChanges().retire(["i09", "i10"]).rename({"i01": "Another"}).add(new)
            folder = Recommender.load(folder).with_catalogue(changes).save(self.folder / "changed")
        self[name] = export_onnx(read_run(folder), file, K).file
        return self[name]

    def recommender(self, name: str) -> Recommender:
        """What answers as the file does."""
        if name != CHANGED:
            return Recommender.from_outcome(outcome(name))
        assert self[name].is_file()
        return Recommender.load(self.folder / "changed")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(tmp_path_factory.mktemp("exported"))


def session(file: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def about(files: Exported, name: str) -> dict[str, Any]:
    """What the metadata of a file say."""
    words: dict[str, Any] = json.loads(session(files[name]).get_modelmeta().custom_metadata_map[METADATA])
    return words


@pytest.mark.parametrize("name", EXPORTED)
def test_lists_are_those_of_torch_for_a_thousand_histories(files: Exported, name: str) -> None:
    known, asked, draws = files.recommender(name).known, session(files[name]), torch.Generator()
    network = Network(exportable(known.scorer), K, known.is_retired_N).eval()
    number = 0
    for rows, length in ((1, 1), (3, 7), (1, 7), (189, 4), (400, 6), (406, 2)):
        history_BL = torch.randint(12, (rows, length), generator=draws.manual_seed(rows))
        ends_B = torch.randint(1, length + 1, (rows,), generator=draws)
        history_BL = history_BL.masked_fill(torch.arange(length) >= ends_B[:, None], -1)
        hidden_BH = torch.randint(-1, 12, (rows, 3), generator=draws)
        items_Bk, scores_Bk = asked.run(None, {"history": history_BL.numpy(), "hidden": hidden_BH.numpy()})
        with torch.no_grad():
            expected_Bk, best_Bk = network(history_BL, hidden_BH)
        assert np.array_equal(items_Bk, expected_Bk.numpy())
        assert np.allclose(scores_Bk, best_Bk.numpy(), atol=1e-5)
        number += rows
    assert number == 1000


@pytest.mark.parametrize("name", EXPORTED)
def test_what_is_exported_is_what_the_recommender_answers(files: Exported, name: str) -> None:
    recommender, asked = files.recommender(name), session(files[name])
    ids = recommender.items.ids.to_list()
    for history in ([3, 4, 5], [9, 3, 10], [*range(3, len(ids))]):
        best = recommender.recommend([[ids[item] for item in history]], k=K)[0]
        items, scores = asked.run(
            None,
            {"history": np.array([history[-about(files, name)["maximum_length"] :]]), "hidden": np.array([history])},
        )
        assert [ids[item] for item in items[0] if item >= 0] == [one.item for one in best]
        assert items[0].tolist().count(-1) == K - len(best)
        assert scores[0, : len(best)].tolist() == pytest.approx([one.score for one in best], abs=1e-5)
    assert [one.item for one in best] != []


def test_the_metadata_say_how_to_ask(files: Exported) -> None:
    found = about(files, "bert4rec")
    assert found["items"] == [f"i{item:02}" for item in range(12)]
    assert found["titles"] == ["The First", *[None] * 11]
    assert (found["maximum_length"], found["k"], found["hide"]) == (7, K, "history")  # of 8 places one is the mask
    counts = outcome("bert4rec").prepared.split.train.counts()
    assert counts[found["popular"]].tolist() == sorted(counts.tolist(), reverse=True)[:K]


def test_a_catalogue_that_changed_is_exported_as_it_is(files: Exported) -> None:
    found = about(files, CHANGED)
    assert (found["items"][12], found["titles"][12], found["titles"][1]) == ("z1", "New", "Another")
    assert (found["retired"], found["cold"]) == ([9, 10], [12])
    assert not {9, 10} & {*found["popular"]}
    items, _ = session(files[CHANGED]).run(
        ["items", "scores"], {"history": np.array([[12]]), "hidden": np.array([[3]])}
    )
    assert {*items[0].tolist()} == {0, 1, 2, 4, 5, 6, 7, 8, 11, 12}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("popularity", "is a baseline, which counts"),
        ("fpmc", "has a vector for each of its 30 users"),
        ("ensemble", r"is an ensemble of 2 models, .* `nextitem distil`"),
        ("blend", "is a blend, whose counts"),
    ],
)
def test_what_no_file_can_hold_is_refused_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        export_onnx(read_run(written(tmp_path, name)), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_a_file_that_would_score_otherwise_is_not_written(
    tmp_path: Path, files: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = files["gru4rec"].read_bytes()
    monkeypatch.setattr(onnx, "_content", lambda *_: other)
    with pytest.raises(ArtefactError, match=r"otherwise than torch for \d+ of 30 histories, so it was not written"):
        export_onnx(read_run(written(tmp_path, "sasrec-ce")), tmp_path / "model.onnx", K)
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("kernels", ["ieee", "tf32"])
def test_the_exporter_may_ask_how_kernels_round_after_a_training_told_them_apart(
    kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recurrent = torch.backends.cudnn.rnn
    monkeypatch.setattr(recurrent, "fp32_precision", kernels)
    with onnx._quiet():
        assert torch.backends.cudnn.allow_tf32 in (True, False)
    assert recurrent.fp32_precision == kernels


def test_the_example_imports_onnxruntime_and_the_standard_library_alone() -> None:
    tree = ast.parse(EXAMPLE.read_text(encoding="utf-8"))
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {module.partition(".")[0] for module in modules} - {*sys.stdlib_module_names} == {"onnxruntime"}


@pytest.fixture(scope="module")
def address(files: Exported) -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, str(EXAMPLE), str(files["sasrec-ce"]), "--port", "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.terminate()


def answered(address: str, body: bytes) -> dict[str, object]:
    with urllib.request.urlopen(urllib.request.Request(address, data=body), timeout=30) as reply:
        found: dict[str, object] = json.load(reply)
    return found


def test_the_example_serves_what_the_recommender_answers(files: Exported, address: str) -> None:
    recommender = files.recommender("sasrec-ce")
    found = answered(address, b'{"history": ["i03", "unknown", "i04"], "k": 3}')
    best = recommender.recommend([["i03", "i04"]], k=3)[0]
    assert found["source"] == "model"
    assert [one["item"] for one in found["items"]] == [one.item for one in best]  # type: ignore[attr-defined]
    assert answered(address, b'{"history": []}')["source"] == "popularity"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"history": 7}', b'{"history": [[1]]}', b'{"history": [], "k": 99}']
)
def test_the_example_refuses_what_is_no_question(address: str, body: bytes) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        answered(address, body)
