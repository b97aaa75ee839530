"""report.html: one file that is whole, says what was measured and shows what the models would have said."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from nextitem.errors import StorageError
from nextitem.experiment.folder.reading import RUN, read_run
from nextitem.experiment.presets import load_preset, resolve_recipe
from nextitem.report.run.evidence import Evidence, comparable
from nextitem.report.run.page import report_into, report_page, write_report
from nextitem.serving.recommender import Recommender
from worlds.small_runs import chains, outcome
from worlds.stored_runs import NAME, evidence, remeasured, written

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Reader(HTMLParser):
    """Follows which elements are open, and keeps the words of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


def page_of(*names: str, root: Path) -> str:
    runs = comparable([evidence(written(root / name, name)) for name in names])
    return report_page(runs, [outcome(name).model for name in names])


@pytest.mark.parametrize("names", [("sasrec-ce",), ("popularity",), ("bert4rec", "popularity", "sasrec-sampled")])
def test_the_page_is_whole_and_loads_nothing(names: tuple[str, ...], tmp_path: Path) -> None:
    found = read(page_of(*names, root=tmp_path))
    assert not {tag for tag, _ in found.seen} & {"script", "link", "img", "iframe", "object"}
    addresses = [
        value for _, attributes in found.seen for key, value in attributes.items() if "href" in key or key == "src"
    ]
    assert addresses
    assert all(address and address.startswith("#") for address in addresses)
    ids = [attributes["id"] for _, attributes in found.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {address.removeprefix("#") for address in addresses if address} <= set(ids)


def test_nothing_in_the_styles_is_fetched(tmp_path: Path) -> None:
    text = page_of("sasrec-ce", root=tmp_path)
    assert "@import" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    assert "default-src 'none'" in text


def test_equal_runs_give_equal_text(tmp_path: Path) -> None:
    folder = written(tmp_path)
    first, second = (report_page([evidence(folder)], [outcome(NAME).model]) for _ in range(2))
    assert first == second


def test_the_page_says_what_was_measured_and_how_it_was_made(tmp_path: Path) -> None:
    words, test = " ".join(read(page_of("sasrec-ce", root=tmp_path)).words), outcome(NAME).test
    low, high = test.intervals["ndcg@10"]
    for said in (f"{test.means['ndcg@10']:.4f}", f"{low:.4f} – {high:.4f}", test.certificate.split, "best epoch"):
        assert said in words
    assert "nextitem train sasrec-ce" in words
    assert "encoder.dim=8" in words


def test_a_curve_has_a_point_an_epoch_and_the_best_one_is_named(tmp_path: Path) -> None:
    text = page_of("sasrec-ce", root=tmp_path)
    best = outcome(NAME).history.best_epoch
    assert f"The weights of epoch {best} of 2 are kept" in text
    assert "lowest at epoch" in text
    assert "Learning" not in page_of("popularity", root=tmp_path / "other")


def test_examples_are_what_the_recommender_says(tmp_path: Path) -> None:
    """Each list is the recommender's for the history without the target, which is marked where it occurs."""
    text = page_of("sasrec-ce", root=tmp_path)
    articles = re.findall(r"<article.*?</article>", text, re.DOTALL)
    assert len(articles) == 2  # beside a history of this catalogue nothing can rank below the first ten
    recommender = Recommender.from_outcome(outcome(NAME))
    for article in articles:
        user = int(re.findall(r"User u(\d+)", article)[0])
        history = [f"i{item:02}" for item in chains()[user]]
        expected = [one.item for one in recommender.recommend([history[:-1]], k=10)[0]]
        shown = re.findall(r"<li( class=\"hit\")?><span>(?:<code>)?(.*?)(?:</code>)?(?: ✓)?</span></li>", article)
        assert [item.replace("The First", "i00") for _, item in shown] == expected
        assert [item.replace("The First", "i00") for mark, item in shown if mark] == [
            item for item in expected if item == history[-1]
        ]
        assert f"<strong>{'The First' if history[-1] == 'i00' else f'<code>{history[-1]}</code>'}</strong>" in article


def test_where_nothing_is_hidden_the_page_says_so_and_recommends_it_again(tmp_path: Path) -> None:
    run = remeasured(read_run(written(tmp_path)), "certificate", hidden="nothing")
    text = report_page([Evidence.of(run)], [outcome(NAME).model])
    assert "Items of the history may be recommended again." in text
    assert "never recommended" not in text


def test_several_runs_answer_for_the_same_users(tmp_path: Path) -> None:
    text = page_of("bert4rec", "popularity", "sasrec-sampled", root=tmp_path)
    articles = re.findall(r"<article.*?</article>", text, re.DOTALL)
    assert articles
    assert all(article.count("<h5>") == 3 for article in articles)


def test_a_run_without_users_shows_no_history(tmp_path: Path) -> None:
    run = evidence(written(tmp_path, with_users=False))
    text = report_page([run], [outcome(NAME).model])
    assert "<article" not in text
    assert "without its users’ histories" in text
    assert not re.search(r"\bu\d\d\b", text)


def test_words_of_the_data_are_words_on_the_page(tmp_path: Path) -> None:
    """A title is never markup."""
    folder = written(tmp_path)
    items = pl.read_parquet(folder / "items.parquet").with_columns(title=pl.lit("<script>alert(1)</script> & Co"))
    items.write_parquet(folder / "items.parquet")
    RUN.seal(folder)
    text = report_page([evidence(folder)], [outcome(NAME).model])
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Co" in text


def test_published_values_stand_beside_unchanged_presets_only(tmp_path: Path) -> None:
    run = evidence(written(tmp_path))
    models = [outcome(NAME).model]
    assert "published" not in report_page([run], models)  # a small encoder on other data
    whole = replace(run, run=replace(run.run, recipe=resolve_recipe(load_preset(NAME), ["data=ml-1m"]).value))
    text = report_page([whole], models)
    assert "published" in text
    assert "0.1821" in text
    wider = replace(
        run, run=replace(run.run, recipe=resolve_recipe(load_preset(NAME), ["data=ml-1m", "encoder.dim=128"]).value)
    )
    assert "published" not in report_page([wider], models)


def test_a_page_is_small(tmp_path: Path) -> None:
    assert len(page_of("sasrec-ce", root=tmp_path).encode()) < 400_000


def test_a_file_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    run = evidence(written(tmp_path))
    with pytest.raises(StorageError, match="choose another --out"):
        write_report([run], [outcome(NAME).model], tmp_path / "nowhere" / "report.html")


def test_an_earlier_page_stays_where_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, page = evidence(written(tmp_path)), tmp_path / "pages" / "report.html"
    page.parent.mkdir()
    page.write_text("a good page", encoding="utf-8")

    def full(file: Path, text: str) -> None:
        file.write_text(text[:100], encoding="utf-8")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nextitem.report.run.page.write_text", full)
    with pytest.raises(StorageError, match="No space left on device; free space"):
        write_report([run], [outcome(NAME).model], page)
    assert page.read_text(encoding="utf-8") == "a good page"
    assert list(page.parent.iterdir()) == [page]


def test_a_folder_gets_its_report(tmp_path: Path) -> None:
    folder = written(tmp_path)
    report_into(folder, outcome(NAME).model)
    page = (folder / "report.html").read_text(encoding="utf-8")
    read(page)
    assert page.count("<svg") > 0


def test_nothing_of_the_data_turns_the_text_of_the_page_round(tmp_path: Path) -> None:
    run = evidence(written(tmp_path, "popularity"))
    named = run.recipe.model_copy(update={"data": "a\u202etxt.vsc\x1b[2J"})
    hostile = replace(run, run=replace(run.run, recipe=named))
    page = report_page([hostile], [outcome("popularity").model])
    assert r"a\u202etxt.vsc\u001b[2J" in page
    assert not {*page} & {"\u202e", "\x1b"}
    read(page)
