"""What a target is compared with when not with everything: one file per kind; this type is the table of contents."""

from nextitem.negatives.uniform import Uniform

AnyNegatives = Uniform

__all__ = ["AnyNegatives", "Uniform"]
