"""The page of a checkup: one file, complete, the same for the same log, and safe whatever the log is called."""

from pathlib import Path

import pytest

from nextitem.data.interactions import Interactions
from nextitem.experiment.recipe import Recipe
from nextitem.report.checkup.page import checkup_page, write_page
from nextitem.studies.checkup import Checkup, check


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checkup:
    """Of 30 users whose last two events tie, and of one who is too fast, called <b>."""
    file = tmp_path_factory.mktemp("log") / "events & more.csv"
    rows = [
        f"u{user},i{(user + n) % 9},{1_000_000_000 + 86_400 * min(n, 4) + user}" for user in range(30) for n in range(6)
    ]
    rows += [f"<b>,i{n % 9},{1_000_000_000 + n}" for n in range(1200)]
    file.write_text("\n".join(["user,item,time", *rows]))
    return check(Recipe(data=str(file)))


def test_it_is_one_file_that_loads_nothing(checked: Checkup) -> None:
    page = checkup_page(checked, "nextitem check x")
    assert page.startswith("<!DOCTYPE html>")
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert page.count("<svg") == 4
    assert "#0072B2" not in page.partition("<body>")[2]  # painted by the style sheet, also in the dark
    assert page == checkup_page(checked, "nextitem check x")


def test_it_says_all_that_was_found(checked: Checkup) -> None:
    page = checkup_page(checked, "nextitem check x")
    assert "Ties in time<span>warning</span>" in page
    assert '<li class="warning"><h3>Bots' in page
    assert all(f"<code>{one.key}={one.value}</code>" in page for one in checked.advice)
    assert "temporal cut=0.9" in page
    assert "nextitem check x" in page


def test_what_a_log_is_called_is_no_markup(checked: Checkup) -> None:
    page = checkup_page(checked, "nextitem check '<i>'")
    assert "<h1>events &amp; more.csv</h1>" in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "<i>" not in page


def test_a_log_without_times_and_without_cases_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "short.csv").write_text("user,item\nann,x\nbob,x\n")
    write_page(check(Recipe(data=str(tmp_path / "short.csv"))), "nextitem check", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "Nothing can be trained: of 2 users none has 3 events" in page


def test_a_log_whose_times_no_calendar_has_has_a_page() -> None:
    log = Interactions.from_columns(["ann"] * 4, ["x", "y", "z", "w"], [0, 1, 2, 10**15])
    page = checkup_page(check(Recipe(), events=log), "nextitem check")
    assert "1e+15" in page
