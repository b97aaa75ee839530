"""MovieLens-1M as SASRec, BERT4Rec and later work use it: items with at least 5 ratings, in order but without times."""

from nextitem.data.description import Description

ML_1M = Description(
    name="ml-1m",
    title="MovieLens-1M",
    file="ml-1m.txt",
    address="https://raw.githubusercontent.com/FeiSun/BERT4Rec/615eaf2004abecda487a38d5b0c72f3dcfcae5b3/data/ml-1m.txt",
    size=9_053_831,
    git_blob="9ab8e3edb8742f8d8cc4911e3dee25e82a6fcc24",
    users=6_040,
    items=3_416,
    events=999_611,
    source="F. M. Harper and J. A. Konstan, The MovieLens Datasets, ACM TiiS 2015; this file: SASRec (Kang and "
    "McAuley, ICDM 2018), BERT4Rec (Sun et al., CIKM 2019)",
    terms="GroupLens usage licence: research use with acknowledgement; no redistribution and no commercial use without "
    "permission",
)
