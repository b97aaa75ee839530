"""What the page's addresses answer, and with which headers."""

import re
from collections.abc import Iterator

import pytest

from worlds.served import Served, models_of, served


@pytest.fixture(scope="module")
def running() -> Iterator[Served]:
    with served(models_of("sasrec-ce", "co-occurrence")) as service:
        yield service


def test_the_page_is_whole_and_its_parts_come_to_who_asks_for_them(running: Served) -> None:
    whole = running.client.get("/?h=i03")
    part = running.client.get("/?h=i03", headers={"HX-Request": "true"})
    restored = running.client.get("/?h=i03", headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert whole.text.startswith("<!doctype html>")
    assert restored.text.startswith("<!doctype html>")
    assert part.text.startswith('<div id="studio"')
    assert part.headers["hx-retarget"] == "#studio"


@pytest.mark.parametrize("path", ["/", "/page/search?q=first", "/page/service", "/page/static/page.js"])
def test_nothing_is_taken_from_elsewhere_and_no_page_frames_it(running: Served, path: str) -> None:
    answer = running.client.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_no_file_but_those_of_the_page_is_sent(running: Served) -> None:
    for name in ("../routes.py", "..%2froutes.py", "%00", "nothing"):
        assert running.client.get(f"/page/static/{name}").status_code == 404
    assert "Zero-Clause BSD" in running.client.get("/page/static/htmx.LICENSE.txt").text


def test_a_page_holds_no_style_or_script_of_its_own(running: Served) -> None:
    text = running.client.get("/?h=i03&h=i04&near=i05").text
    for banned in (" style=", "<style", " onclick", "javascript:", "http://", "https://"):
        assert banned not in text


ODD = ("h=%00", "h=%ff", "h=" + "x" * 300, "near=nobody", "m=nobody", "in=nothing", "from=3", "mix=7", "page=3")


@pytest.mark.parametrize("query", [*ODD, "q=%3Cb%3E"])
def test_no_address_is_an_error(running: Served, query: str) -> None:
    answer = running.client.get(f"/?{query}")
    assert answer.status_code == 200
    assert "<b>" not in answer.text


def test_what_is_searched_for_is_found_by_title_and_id(running: Served) -> None:
    assert "The First" in running.client.get("/page/search?q=first").text
    assert "i07" in running.client.get("/page/search?q=i07").text
    assert "No title or id" in running.client.get("/page/search?q=nothing").text


def lists(text: str) -> list[str]:
    """What the first of the lists holds."""
    return re.findall(r'data-item="(i\d\d)"', text.partition("list-b")[0])


def test_a_user_is_looked_up_and_the_lists_go_on_from_what_is_stored(running: Served) -> None:
    text = running.client.get("/?user=u05").text
    asked = {"user": "u05", "k": 10, "model": "sasrec-ce"}
    answer = running.post("/v1/recommend", asked).json()
    assert lists(text) == [item["item"] for item in answer["items"]]
    known = running.service.models.first.recommender.known
    place = known.user_places.of("u05", "user", 0)
    own = [known.raw_items[item] for item in known.stored()[1].tolist()[place]]
    assert f"{len(own)} stored events, newest first" in text
    stored = re.findall(
        r"<bdi[^>]*>([^<]+)</bdi>", text.partition("What is stored of the user")[2].partition("</ol>")[0]
    )
    assert stored == ["The First" if item == "i00" else item for item in reversed(own)]
    assert "Because of" in text
    more = running.client.get("/?user=u05&h=i03").text
    after = running.post("/v1/recommend", asked | {"history": ["i03"]}).json()
    assert lists(more) == [item["item"] for item in after["items"]]
    assert "Nothing is stored of this user" in running.client.get("/?user=nobody").text


def test_looking_at_the_service_is_nothing_that_the_service_does(running: Served) -> None:
    running.client.get("/")
    before = running.service.measures.requests
    for _ in range(3):
        assert running.client.get("/page/service").status_code == 200
    assert running.service.measures.requests == before
    assert "/page/service" not in running.client.get("/metrics").text


def test_the_page_is_no_part_of_the_interface_for_programs(running: Served) -> None:
    assert not [path for path in running.client.get("/openapi.json").json()["paths"] if path.startswith("/page")]
