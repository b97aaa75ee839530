"""What turns a history of item vectors into states: one file per encoder; this union is the table of contents."""

from typing import Annotated

from pydantic import Field

from nextitem.model.encoders.bert4rec import BERT4Rec
from nextitem.model.encoders.caser import Caser
from nextitem.model.encoders.fpmc import FPMC
from nextitem.model.encoders.gpt2 import GPT2
from nextitem.model.encoders.gru4rec import GRU4Rec
from nextitem.model.encoders.hstu import HSTU
from nextitem.model.encoders.ligr import LiGR
from nextitem.model.encoders.sasrec import SASRec
from nextitem.model.encoders.user_vectors import UserVectors

AnyEncoder = Annotated[
    SASRec | BERT4Rec | GRU4Rec | GPT2 | LiGR | HSTU | Caser | FPMC | UserVectors, Field(discriminator="name")
]

__all__ = ["FPMC", "GPT2", "HSTU", "AnyEncoder", "BERT4Rec", "Caser", "GRU4Rec", "LiGR", "SASRec", "UserVectors"]
