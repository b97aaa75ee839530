"""Yelp reviews as Klenitskiy and Vasilev prepared them: users with at least 5 different items, repeats kept.

Their file is a zip. Where the owners' file of reviews is there, it is made of that, and then has times.
"""

from nextitem.data.description import Description, Raw

_REVIEWS = "yelp_academic_dataset_review.json"

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
    raw=Raw(
        files=(_REVIEWS, f"{_REVIEWS}.gz", f"{_REVIEWS}.zst"),
        columns={"format": "jsonl", "user": "user_id", "item": "business_id", "time": "date"},
        least_distinct=5,
    ),
    source="Yelp Open Dataset; this file: A. Klenitskiy and A. Vasilev, RecSys 2023",
    terms="Yelp dataset licence: academic use, no redistribution",
)
