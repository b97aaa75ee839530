"""Amazon Beauty as prepared for BERT4Rec: users with at least 5 events, all items, in order but without times."""

from nextitem.data.description import Description

BEAUTY = Description(
    name="beauty",
    title="Beauty",
    file="beauty.txt",
    address="https://raw.githubusercontent.com/FeiSun/BERT4Rec/615eaf2004abecda487a38d5b0c72f3dcfcae5b3/data/beauty.txt",
    size=3_912_093,
    git_blob="16718a33ebdb33504f257421b18ae8bf3ddfe327",
    users=40_226,
    items=54_542,
    events=353_962,
    source="J. McAuley et al., Image-Based Recommendations on Styles and Substitutes, SIGIR 2015; this file: BERT4Rec "
    "(Sun et al., CIKM 2019)",
    terms="derived from the Amazon review data of J. McAuley (UCSD), for research; no explicit open licence",
)
