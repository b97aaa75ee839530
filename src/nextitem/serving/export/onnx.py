"""A recommender as one ONNX file: the network, ids and titles of its items, and how to ask it."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nextitem.data.sequences import Sequences
from nextitem.errors import ArtefactError, ConfigurationError
from nextitem.evaluation.scoring import Scorer
from nextitem.experiment.combined.blending import BlendScorer
from nextitem.experiment.combined.mean import MeanScorer
from nextitem.experiment.folder.reading import Run
from nextitem.model.model import SequenceModel
from nextitem.serving.export.network import Network
from nextitem.serving.known import Known
from nextitem.serving.recommender import Recommender
from nextitem.settings.given import whole_number
from nextitem.storage import filled, refusals, whole_file

METADATA = "nextitem"
"""The key of a file's metadata under which `about` stands, as JSON."""
_FORMAT = 1
_COMPARED = 64  # histories for which the file has to list what torch lists
_NEAR = 1e-4  # by which scores may differ, in units of the largest
_MOST_BYTES = 2**31 - 1  # of an ONNX file, whose sizes are signed 32-bit numbers


@dataclass(frozen=True)
class Exported:
    """A file that was written."""

    file: Path
    size: int
    """Bytes."""
    k: int
    """Items of a list."""
    compared: int
    """Histories for which onnxruntime lists what torch lists."""


def export_onnx(run: Run, out: Path, k: int = 100) -> Exported:
    """Write the model of a run to an ONNX file, whole or not at all, once onnxruntime lists by it what torch lists.

    Inputs are `history` (batch, length), int64 indices of items, oldest first, −1 behind the newest, and `hidden`
    (batch, any), indices of items that are not listed, −1 for none. Outputs are `items` and `scores` (batch, k), best
    first, −1 and −inf where nothing is left. Batch and length are dynamic; the metadata hold ids and titles (`about`).
    The catalogue is that of the run as it is by now: retired items are in no list, added ones have their rows.

    Raises ConfigurationError for a model that cannot be exported and where the extra `onnx` is not installed,
    ArtefactError where the file would list something else, and StorageError where the system refuses.
    """
    k = whole_number(k, "k", "the number of recommendations", least=1)
    known = Recommender.from_run(run).known
    network = Network(exportable(known.scorer), min(k, len(known.items)), known.is_retired_N).eval()
    content = _content(network, about(known, run, network))
    if len(content) > _MOST_BYTES:
        raise ConfigurationError(f"the model has {len(content):,} bytes, and an ONNX file at most {_MOST_BYTES:,}")
    compared = _compared(network, content, known)
    with refusals(out), whole_file(out) as draft, filled(draft) as file:
        file.write(content)
    return Exported(out, len(content), network.k, compared)


def exportable(scorer: Scorer) -> SequenceModel:
    """The model, where a file can hold it. Raises ConfigurationError with the reason where not."""
    if isinstance(scorer, MeanScorer):
        raise ConfigurationError(
            f"the run is an ensemble of {len(scorer.members)} models, and a file holds one network; export the run of "
            f"a member, or teach one model what they say by `nextitem distil`, and export that"
        )
    if isinstance(scorer, BlendScorer):
        raise ConfigurationError(
            "the run is a blend, whose counts are looked up and are no network; export the run that it was made of"
        )
    if not isinstance(scorer, SequenceModel):
        raise ConfigurationError(
            "the run is a baseline, which counts and has no network; export takes sequence models, such as sasrec-ce"
        )
    if scorer.number_of_users is not None:
        raise ConfigurationError(
            f"the model has a vector for each of its {scorer.number_of_users:,} users and knows nobody else, so a file "
            f"that is asked by histories cannot hold it; train with encoder.user_vectors=false, or another encoder"
        )
    if scorer.prefix is not None:
        raise ConfigurationError(
            "the model reads what is known of its users (prefix=users), and exported files are asked by histories "
            "alone; train with prefix=none"
        )
    if scorer.reads_times:
        raise ConfigurationError("the model reads when events were, and exported files are asked by items alone")
    return scorer


def about(known: Known, run: Run, network: Network) -> dict[str, Any]:
    """What a file's metadata say: ids by index, how to ask, and where the model comes from."""
    titles = known.item_titles
    popular_N = known.counts_N.argsort(descending=True, stable=True)
    if known.is_retired_N is not None:
        popular_N = popular_N[~known.is_retired_N[popular_N]]
    return {
        "format": _FORMAT,
        "nextitem": version("nextitem"),
        "recipe": run.recipe.name,
        "data": run.certificate.dataset,
        "run": run.fingerprint,
        "maximum_length": network.most,
        "k": network.k,
        "hide": known.hide,
        "items": known.raw_items,
        "titles": titles if any(title is not None for title in titles) else None,
        "popular": popular_N[: network.k].tolist(),
        "retired": _marked(known.is_retired_N),
        "cold": _marked(known.is_cold_N),
    }


def _marked(is_so_N: Tensor | None) -> list[int]:
    return [] if is_so_N is None else is_so_N.nonzero()[:, 0].tolist()


def _content(network: Network, words: dict[str, Any]) -> bytes:
    """The file. Raises ConfigurationError where the extra is not installed."""
    with _quiet():
        try:
            import onnxscript  # noqa: F401
            from torch import onnx
        except ImportError as error:
            raise ConfigurationError(
                f"export needs onnx, onnxscript and onnxruntime ({error}); run: pip install 'nextitem[onnx]'"
            ) from error
        dim = torch.export.Dim
        length = min(2, network.most)  # a size of one would be taken for a constant
        example = (torch.zeros(2, length, dtype=torch.int64), torch.full((2, 2), -1))
        batch, many = dim("batch", min=1, max=1 << 24), dim("hidden", min=1, max=1 << 24)
        axis = dim("length", min=1, max=network.most) if network.most > 1 else None
        program = onnx.export(
            network,
            example,
            dynamo=True,
            verbose=False,
            dynamic_shapes=({0: batch, 1: axis}, {0: batch, 1: many}),
            input_names=["history", "hidden"],
            output_names=["items", "scores"],
        )
    if program is None:
        raise ConfigurationError("torch.onnx exported nothing; its versions before 2.9 are not supported")
    proto = program.model_proto
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA, json.dumps(words, ensure_ascii=False)
    content: bytes = proto.SerializeToString()
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says about itself and its own next versions.

    It asks whether cuDNN rounds to TF32 at all, which torch refuses to say once recurrent kernels were told apart from
    convolutions, as GRU4Rec tells them on a GPU: so they are alike meanwhile.
    """
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    kernels: Any = torch.backends.cudnn
    before, kernels.rnn.fp32_precision = kernels.rnn.fp32_precision, kernels.conv.fp32_precision
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        kernels.rnn.fp32_precision = before


def _compared(network: Network, content: bytes, known: Known) -> int:
    """For how many histories onnxruntime lists what torch lists. Raises ArtefactError where it does not for one."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    history_BL, hidden_BH = asked(some_histories(known), network.most)
    scores_Bk = session.run(["scores"], {"history": history_BL.numpy(), "hidden": hidden_BH.numpy()})[0]
    with torch.no_grad():
        expected_Bk = network(history_BL, hidden_BH)[1].numpy()
    # In order of scores, so that whatever scores alike may stand in either order.
    size = np.abs(expected_Bk, where=np.isfinite(expected_Bk), out=np.zeros_like(expected_Bk)).max(initial=1.0)
    is_near_Bk = np.isclose(scores_Bk, expected_Bk, rtol=0, atol=_NEAR * size)
    if not is_near_Bk.all():
        raise ArtefactError(
            f"by the file onnxruntime {onnxruntime.__version__} scores otherwise than torch for "
            f"{int((~is_near_Bk.all(1)).sum())} of {len(history_BL)} histories, so it was not written; try another "
            f"version of either"
        )
    return len(history_BL)


def some_histories(known: Known, number: int = _COMPARED) -> Sequences:
    """Histories to compare by: of users that are stored, evenly among them, else of a few items each."""
    if known.histories is None:
        drawn = torch.randint(len(known.items), (number, 5), generator=torch.Generator().manual_seed(0))
        return Sequences.of(drawn.tolist(), len(known.items))
    long = (known.histories.lengths_U > 0).nonzero()[:, 0]
    return known.histories.select(long[torch.linspace(0, len(long) - 1, min(number, len(long))).long()])


def asked(histories: Sequences, most: int) -> tuple[Tensor, Tensor]:
    """(history_BL, hidden_BH) as a file is asked: the last `most` items, and all of a history hidden."""
    rows = histories.tolist()
    width = max(map(len, rows))
    recent = [row[-most:] for row in rows]
    length = max(map(len, recent))
    return (
        torch.tensor([[*row, *[-1] * (length - len(row))] for row in recent]),
        torch.tensor([[*row, *[-1] * (width - len(row))] for row in rows]),
    )
