"""Weights that a training goes on from: those of an earlier model by raw id, and rows for what is new. N items now."""

from collections.abc import Mapping

import torch
from torch import Tensor

from nextitem.data.features.table import ItemFeatures
from nextitem.data.log import Catalog, Log
from nextitem.experiment.contents import USERS
from nextitem.experiment.folder.reading import Run
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.model.prefix import moved_users
from nextitem.model.weights import below
from nextitem.serving.catalogue.cold import ColdMap
from nextitem.serving.known import Known


def warm_start(run: Run, known: Known, log: Log, features: ItemFeatures, seed: int) -> Mapping[str, Tensor] | None:
    """The tensors of a model for the items and users of `log`; None of a baseline, which counts anew.

    Each item and user that the run knows keeps its numbers. A new item gets the row that the map from features
    foretells (of an item of which nothing is known: the mean of all), a new user the mean of the users' vectors, and
    nothing is known of one where features of users are read.
    """
    model = run.recipe.model
    if not isinstance(model, SequenceRecipe):
        return None
    tensors = dict(model.restore(run.weights, len(run.items)).tensors())
    own = model.restore(run.weights, len(run.items))
    place_N = Catalog(run.items["item"]).lookup(log.items.ids)
    is_new_N = place_N < 0
    foretold: Mapping[str, Tensor] = {}
    if bool(is_new_N.any()):
        cold = ColdMap.learnt(own, known.features, known.counts_N, known.histories)
        foretold = cold.rows(ItemFeatures(features.table.filter(is_new_N.numpy())))
    for name, rows in own.item_rows().items():
        moved = rows[place_N.clamp(min=0)].clone()
        if foretold:
            moved[is_new_N] = foretold[name]
        tensors[name] = moved
    if run.users is not None:
        place_U = Catalog(run.users["user"]).lookup(log.users.ids)
        if USERS in tensors:
            vectors = tensors[USERS]
            tensors[USERS] = torch.where((place_U < 0)[:, None], vectors.mean(0), vectors[place_U.clamp(min=0)])
        if model.prefix is not None:
            tensors |= {f"prefix.{name}": one for name, one in moved_users(below("prefix.", tensors), place_U).items()}
    return tensors
