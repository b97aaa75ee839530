"""The public names, in the order of the road: what `import nextitem` gives as soon as one of them is asked for.

Nothing in the package imports from here: it sits above everything.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from nextitem.data import splits as _splits
from nextitem.data.features.columns import FeatureColumns, Features
from nextitem.data.features.table import ItemFeatures
from nextitem.data.filters import Filters
from nextitem.data.interactions import Interactions
from nextitem.data.log import index
from nextitem.data.prepare import Prepared, prepare
from nextitem.data.reading.columns import Columns
from nextitem.data.reading.files import read_interactions
from nextitem.data.sequences import Sequences
from nextitem.data.splits import *  # noqa: F403
from nextitem.data.splits.split import Cases, Split
from nextitem.errors import (
    ArtefactError,
    ConfigurationError,
    DataError,
    NextitemError,
    ScoreError,
    ServiceError,
    StorageError,
    TrainingError,
)
from nextitem.evaluation.evaluate import Evaluation, evaluate
from nextitem.evaluation.ranking import Ranking
from nextitem.evaluation.scoring import Query, Scorer
from nextitem.experiment.again import evaluate_again
from nextitem.experiment.combined import Blend, Ensemble, Member
from nextitem.experiment.folder.reading import Run, read_run
from nextitem.experiment.own import register_encoder
from nextitem.experiment.presets import load_preset, load_recipe
from nextitem.experiment.recipe import Recipe
from nextitem.experiment.run import Outcome, run
from nextitem.experiment.sequence import SequenceRecipe
from nextitem.experiment.teacher import Teacher
from nextitem.model import baselines as _baselines
from nextitem.model import encoders as _encoders
from nextitem.model import items as _items
from nextitem.model import losses as _losses
from nextitem.model import negatives as _negatives
from nextitem.model import objectives as _objectives
from nextitem.model.baselines import *  # noqa: F403
from nextitem.model.encoders import *  # noqa: F403
from nextitem.model.encoders.encoder import Encoder
from nextitem.model.items import *  # noqa: F403
from nextitem.model.losses import *  # noqa: F403
from nextitem.model.negatives import *  # noqa: F403
from nextitem.model.objectives import *  # noqa: F403
from nextitem.model.prefix import UserPrefix
from nextitem.serving.explaining.explanation import Explanation
from nextitem.serving.explaining.similar import SimilarItem
from nextitem.serving.question import Answer, Question, Recommendation, Terms
from nextitem.serving.recommender import Recommender
from nextitem.training.fit import fit_model
from nextitem.training.history import History, Watcher
from nextitem.training.session import Session
from nextitem.training.training import Training

__all__ = [  # noqa: RUF022 - in the order of the road
    # data
    "read_interactions", "Columns", "Interactions", "Features", "FeatureColumns", "ItemFeatures",
    "Filters", "index", "Sequences", "Split", "Cases", "prepare", "Prepared", "ListColumns",
]  # fmt: skip
# A shelf's table of contents is public as it stands: a new entry has no second place to be named in.
__all__ += _splits.__all__
__all__ += _items.__all__
__all__ += _encoders.__all__
__all__ += ["Encoder", "UserPrefix"]
__all__ += _objectives.__all__
__all__ += _losses.__all__
__all__ += _negatives.__all__
__all__ += _baselines.__all__
__all__ += [  # noqa: RUF022
    # training
    "Training", "Session", "fit_model", "History", "Watcher",
    # experiment
    "Recipe", "SequenceRecipe", "Ensemble", "Member", "Blend", "Teacher", "register_encoder", "load_recipe",
    "load_preset", "run", "Outcome", "train", "Extras",
    "Run", "read_run", "evaluate_again", "evaluate_recommendations", "evaluate_against", "Judged", "plan",
    # evaluation
    "evaluate", "Evaluation", "Ranking", "Scorer", "Query",
    # studies
    "Contestant", "compare", "Comparison", "tune", "check", "Checkup",
    # serving
    "fit", "Recommender", "Question", "Terms", "Answer", "Recommendation", "Explanation", "SimilarItem",
    "Client", "Event",
    # errors
    "NextitemError", "ConfigurationError", "DataError", "ArtefactError", "StorageError", "ServiceError",
    "ScoreError", "TrainingError",
]  # fmt: skip

if TYPE_CHECKING:
    from nextitem.data.reading.lists import ListColumns
    from nextitem.engine.entries import Contestant
    from nextitem.experiment.plan.plan import plan
    from nextitem.experiment.recommendations import Judged, evaluate_against, evaluate_recommendations
    from nextitem.experiment.train import Extras, train
    from nextitem.serving.client.client import Client, Event
    from nextitem.serving.fit import fit
    from nextitem.studies.checkup import Checkup, check
    from nextitem.studies.comparison import Comparison, compare
    from nextitem.studies.tuning import tune
else:  # what few programs need is imported when it is asked for
    _LATER = {
        "Checkup": "nextitem.studies.checkup",
        "Client": "nextitem.serving.client.client",
        "Comparison": "nextitem.studies.comparison",
        "Contestant": "nextitem.engine.entries",
        "Event": "nextitem.serving.client.client",
        "Extras": "nextitem.experiment.train",
        "Judged": "nextitem.experiment.recommendations",
        "ListColumns": "nextitem.data.reading.lists",
        "check": "nextitem.studies.checkup",
        "compare": "nextitem.studies.comparison",
        "evaluate_against": "nextitem.experiment.recommendations",
        "evaluate_recommendations": "nextitem.experiment.recommendations",
        "fit": "nextitem.serving.fit",
        "plan": "nextitem.experiment.plan.plan",
        "train": "nextitem.experiment.train",
        "tune": "nextitem.studies.tuning",
    }

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module 'nextitem.public' has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_LATER[name]), name)
        return found
