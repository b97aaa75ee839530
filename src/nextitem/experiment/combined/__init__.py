"""Models that are made of others after training: one file each; this union is the contents."""

from nextitem.experiment.combined.blend import Blend
from nextitem.experiment.combined.ensemble import Ensemble, Member

AnyCombined = Ensemble | Blend

__all__ = ["AnyCombined", "Blend", "Ensemble", "Member"]
