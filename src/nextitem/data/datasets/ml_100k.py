"""MovieLens-100K as RecBole ships it: all ratings, with the second of each, in no particular order."""

from nextitem.data.description import Description

ML_100K = Description(
    name="ml-100k",
    title="MovieLens-100K",
    file="ml-100k.inter",
    address="https://raw.githubusercontent.com/RUCAIBox/RecBole/6af995d83513ebf16777fedf35bfa830680f5d88/dataset/ml-100k/ml-100k.inter",
    size=1_979_230,
    git_blob="7345003ddf105cadcbc35e6c53dd2f44abfc4683",
    users=943,
    items=1_682,
    events=100_000,
    source="F. M. Harper and J. A. Konstan, The MovieLens Datasets, ACM TiiS 2015; this file: RecBole (Zhao et al., "
    "CIKM 2021)",
    terms="GroupLens usage licence: research use with acknowledgement; no redistribution and no commercial use without "
    "permission",
)
