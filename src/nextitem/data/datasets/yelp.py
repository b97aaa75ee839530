"""Yelp reviews as Klenitskiy and Vasilev prepared them: users with at least 5 items, repeats kept, in a zip."""

from nextitem.data.description import Description

YELP = Description(
    name="yelp",
    title="Yelp",
    file="yelp.txt",
    archive="yelp.txt.zip",
    address="https://raw.githubusercontent.com/antklen/sasrec-bert4rec-recsys23/29c272e155cad52c8958b04e9e98557526a646e5/data/yelp.txt.zip",
    size=None,
    git_blob="136842233ea273d82f23ceb0dd0cb5207bd0e449",
    users=279_106,
    items=148_415,
    events=4_350_510,
    source="Yelp Open Dataset; this file: A. Klenitskiy and A. Vasilev, RecSys 2023",
    terms="Yelp dataset licence: academic use, no redistribution",
)
