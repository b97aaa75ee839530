"""Models that are made of others after training: one file each; this union is the contents."""

from nextitem.experiment.combined.ensemble import Ensemble, Member

AnyCombined = Ensemble

__all__ = ["AnyCombined", "Ensemble", "Member"]
