"""Lists of an exported file beside those of torch.

    python tools/onnx_agreement.py RUN [--histories 1000] [-k 10]

Exports the run into a folder of its own, asks both for stored histories, and prints for how many the lists are the same
items in the same order, and what the largest difference of two scores is. Ends with 1 where a list differs.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from nextitem import read_run
from nextitem.serving.export.network import Network
from nextitem.serving.export.onnx import asked, export_onnx, exportable, some_histories
from nextitem.serving.known import Known


def agreement(run_folder: Path, histories: int, k: int) -> tuple[int, int, float, float, float]:
    """(lists that are the same, lists, largest difference of scores, seconds of torch, seconds of onnxruntime)."""
    run = read_run(run_folder)
    known = Known.of_run(run)
    network = Network(exportable(known.scorer), min(k, len(known.items))).eval()
    with tempfile.TemporaryDirectory() as folder:
        file = export_onnx(run, Path(folder) / "model.onnx", k).file
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    same, number, difference, ours, theirs = 0, 0, 0.0, 0.0, 0.0
    for part in some_histories(known, histories).parts(events=1 << 12):
        history_BL, hidden_BH = asked(part, network.most)
        began = time.perf_counter()
        with torch.no_grad():
            expected_Bk, best_Bk = (found.numpy() for found in network(history_BL, hidden_BH))
        middle = time.perf_counter()
        items_Bk, scores_Bk = session.run(None, {"history": history_BL.numpy(), "hidden": hidden_BH.numpy()})
        ours, theirs = ours + middle - began, theirs + time.perf_counter() - middle
        same += int((items_Bk == expected_Bk).all(1).sum())
        is_finite = np.isfinite(best_Bk)
        difference = max(difference, float(np.abs(scores_Bk[is_finite] - best_Bk[is_finite]).max(initial=0)))
        number += len(part)
    return same, number, difference, ours, theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--histories", type=int, default=1000)
    parser.add_argument("-k", type=int, default=10)
    arguments = parser.parse_args()
    same, number, difference, ours, theirs = agreement(arguments.run, arguments.histories, arguments.k)
    print(
        f"{same:,} of {number:,} lists of {arguments.k} are the same; scores differ by at most {difference:.2g}; "
        f"torch {ours:.1f} s, onnxruntime {theirs:.1f} s"
    )
    sys.exit(same < number)


if __name__ == "__main__":
    main()
