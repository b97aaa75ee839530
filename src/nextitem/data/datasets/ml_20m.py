"""MovieLens-20M as prepared for BERT4Rec: in order but without times, in a zip."""

from nextitem.data.description import Description

ML_20M = Description(
    name="ml-20m",
    title="MovieLens-20M",
    file="ml-20m.txt",
    archive="ml-20m.zip",
    address="https://raw.githubusercontent.com/FeiSun/BERT4Rec/615eaf2004abecda487a38d5b0c72f3dcfcae5b3/data/ml-20m.zip",
    size=None,
    git_blob="94df4e7735d9776c21561168b6ee437bf969335a",
    users=138_493,
    items=26_744,
    events=20_000_000,
    events_rounded_to=1_000_000,
    source="F. M. Harper and J. A. Konstan, The MovieLens Datasets, ACM TiiS 2015; this file: BERT4Rec (Sun et al., "
    "CIKM 2019)",
    terms="GroupLens usage licence: research use with acknowledgement; no redistribution and no commercial use without "
    "permission",
)
