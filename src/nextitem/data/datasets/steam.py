"""Steam reviews as prepared for BERT4Rec: in order but without times."""

from nextitem.data.description import Description

STEAM = Description(
    name="steam",
    title="Steam",
    file="steam.txt",
    address="https://raw.githubusercontent.com/FeiSun/BERT4Rec/615eaf2004abecda487a38d5b0c72f3dcfcae5b3/data/steam.txt",
    size=None,
    git_blob="d277c3a119f12764dc2822eca9684949a516b244",
    users=281_428,
    items=13_044,
    events=3_500_000,
    events_rounded_to=100_000,
    source="W.-C. Kang and J. McAuley, Self-Attentive Sequential Recommendation, ICDM 2018; this file: BERT4Rec (Sun "
    "et al., CIKM 2019)",
    terms="derived from reviews on Steam collected by J. McAuley (UCSD), for research; no explicit open licence",
)
