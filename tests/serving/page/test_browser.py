"""The page in a real browser: what people click, type, hear and see."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, expect
from playwright.sync_api import sync_playwright as playing

from nextitem.serving.service.models import Models
from worlds.films import HOSTILE, stored
from worlds.served import Served, models_of, served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: apt-get install chromium")
SCHEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
PATIENCE = 30_000  # milliseconds: a machine that runs other tests beside these is slow, not wrong
DESKTOP, PHONE = {"width": 1360, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with playing() as started:
        # As root, as in a container, the browser has no sandbox of its own.
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(Models.load(stored(tmp_path_factory.mktemp("films")))) as running:
        yield running


@contextmanager
def looking(browser: Browser, service: Served, path: str = "/", **options: Any) -> Iterator[Page]:
    """A page of its own; ends with an assertion that nothing was fetched from elsewhere and nothing went wrong."""
    context = browser.new_context(**{"viewport": DESKTOP, "color_scheme": "light", **options})
    page, wrong, asked = context.new_page(), list[str](), list[str]()
    page.set_default_timeout(PATIENCE)
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(service.address + path)
    yield page
    context.close()
    assert wrong == []
    assert [url for url in asked if not url.startswith(service.address)] == []


def picked(page: Page) -> Any:
    return page.locator(".picked .name bdi")


def listed(page: Page, side: str) -> list[str]:
    return page.locator(f".side-{side} .row .name bdi").all_inner_texts()


def test_a_history_is_built_by_clicking_and_the_lists_answer_without_a_new_page(
    browser: Browser, films: Served
) -> None:
    with looking(browser, films) as page:
        page.evaluate("window.mark = 1")
        page.get_by_label("Search 40 items by title or id").fill("alien")
        page.locator("#found .hits").get_by_role("link", name="Add Aliens").click()
        expect(picked(page)).to_have_text(["Aliens"])
        before = listed(page, "a")
        page.get_by_role("button", name=re.compile("^Add .* to the history$")).first.click()
        expect(picked(page)).to_have_count(2)
        assert listed(page, "a") != before
        assert page.evaluate("window.mark") == 1
        page.get_by_role("button", name="Move Aliens later").click()
        expect(picked(page).nth(1)).to_have_text("Aliens")
        page.get_by_role("button", name="What if without Aliens").click()
        expect(page.locator(".left-out")).to_have_count(1)
        page.get_by_role("button", name="Remove Aliens").click()
        expect(picked(page)).to_have_count(1)
        page.get_by_role("button", name="Clear").click()
        expect(page.locator(".picked")).to_have_count(0)
        assert page.evaluate("[window.mark, location.search]") == [1, ""]


def test_an_example_history_fills_the_page(browser: Browser, films: Served) -> None:
    with looking(browser, films) as page:
        page.get_by_role("button", name="Horror").click()
        expect(picked(page)).to_have_count(4)
        expect(page.locator(".list.side-a .row").first).to_be_visible()


def test_the_keyboard_is_enough(browser: Browser, films: Served) -> None:
    with looking(browser, films) as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the recommendations")).to_be_focused()
        page.keyboard.press("/")
        page.keyboard.type("alien")
        expect(page.locator("#found .hits a")).to_have_count(2)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        expect(page.locator("#found-2")).to_be_focused()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        expect(picked(page)).to_have_count(1)
        expect(page.locator("#q")).to_be_focused()
        expect(page.locator("#q")).to_have_value("")
        page.keyboard.type("film 12")
        expect(page.locator("#found .hits a")).to_have_count(1)
        page.keyboard.press("Enter")
        expect(picked(page)).to_have_count(2)
        expect(page.locator("#said")).to_contain_text("2 in the history, the newest Film 12")
        page.locator("#earlier-2").focus()
        page.keyboard.press("Space")
        expect(picked(page).first).to_have_text("Film 12")
        expect(page.locator("#earlier-1")).to_have_count(0)
        page.keyboard.press("Shift+Backspace")
        expect(picked(page)).to_have_text(["Film 12"])
        expect(page.locator("#q")).to_be_focused()
        page.keyboard.type("nothing of the kind")
        expect(page.locator("#found")).to_contain_text("No title or id of 40 items has “nothing of the kind” in it")
        page.keyboard.press("Escape")
        expect(page.locator("#q")).to_have_value("")


def test_a_user_is_looked_up_and_lists_are_narrowed_by_any_column(browser: Browser, films: Served) -> None:
    with looking(browser, films) as page:
        page.get_by_label("Id of a user").fill("u07")
        page.get_by_role("button", name="Look up").click()
        expect(page.get_by_label("What is stored of the user, newest first")).to_be_visible()
        assert "user=u07" in page.url
        page.get_by_label("Brand").select_option("Old")
        page.wait_for_url("**in.brand=Old**")
        expect(page.locator(".side-a .row").first).to_be_visible()
        page.get_by_label("Price to").fill("100")
        page.get_by_label("Price to").press("Enter")
        page.wait_for_url("**to.price=100**")
        page.get_by_label("Most per genre").select_option("1")
        page.wait_for_url("**limit=1**")
        rows = page.locator(".side-a .row")
        expect(rows.first).to_be_visible()
        assert 0 < rows.count() <= 4  # as many as there are genres
        page.get_by_role("button", name="Nobody").click()
        expect(page.get_by_label("What is stored of the user, newest first")).to_have_count(0)


def test_what_is_focused_can_be_seen_and_comes_in_the_order_of_the_page(browser: Browser, films: Served) -> None:
    with looking(browser, films, "/?h=f00&h=f01") as page:
        seen = []
        for _ in range(30):
            page.keyboard.press("Tab")
            seen.append(
                page.evaluate("""() => {
                const at = document.activeElement, style = getComputedStyle(at);
                const all = [...document.querySelectorAll('*')];
                return [all.indexOf(at), style.outlineStyle, parseFloat(style.outlineWidth)];
            }""")
            )
        places = [place for place, _, _ in seen]
        assert places == sorted(places)
        assert all(style != "none" and width >= 2 for _, style, width in seen)
        assert page.locator("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").count() == 0


def test_a_shared_address_shows_the_same(browser: Browser, films: Served) -> None:
    with looking(browser, films) as page:
        page.get_by_role("button", name="Drama").click()
        expect(picked(page)).to_have_count(4)
        page.get_by_role("checkbox", name="Show seen items").check()
        page.wait_for_url("**seen=1**")
        expect(page.locator("#seen")).to_be_focused()
        lists, address = [listed(page, "a"), listed(page, "b")], page.url.removeprefix(films.address)
        page.go_back()
        expect(page.locator("#seen")).not_to_be_checked()
        expect(picked(page)).to_have_count(4)
    with looking(browser, films, address) as page:
        assert [listed(page, "a"), listed(page, "b")] == lists


def test_everything_works_without_scripts(browser: Browser, films: Served) -> None:
    with looking(browser, films, java_script_enabled=False) as page:
        page.get_by_label("Search 40 items by title or id").fill("alien")
        page.get_by_label("Search 40 items by title or id").press("Enter")
        page.get_by_role("link", name="Add Aliens").click()
        expect(picked(page)).to_have_text(["Aliens"])
        page.get_by_role("combobox", name="Left").select_option(label="co-occurrence")
        page.get_by_role("combobox", name="Right").select_option(label="sasrec-ce")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#list-a")).to_have_text("co-occurrence")
        expect(picked(page)).to_have_text(["Aliens"])


def test_reasons_neighbours_and_what_the_service_does_are_shown(browser: Browser, films: Served) -> None:
    with looking(browser, films, "/?h=f10&h=f11") as page:
        page.locator("#why-a-1").click()
        expect(page.locator(".side-a .why[open] table")).to_contain_text("Film 1")
        page.locator("#near-a-1").click()
        expect(page.locator("#near .shelf")).to_have_count(2)
        page.locator("#walk-a-1").click()
        page.wait_for_url(lambda url: "near=" in url)
        expect(page.locator("#service dt").first).to_have_text("Requests")
        before = page.locator("#service dd").first.inner_text()
        expect(page.locator("#service dd").first).not_to_have_text(before, timeout=8000)
        expect(page.locator("#models tbody tr")).to_have_count(2)
        expect(page.locator(".curves path.line")).to_have_count(2)


def test_nothing_is_wider_than_the_screen(browser: Browser, films: Served) -> None:
    path = "/?h=f00&h=f02&h=f03&h=f04&h=f39&user=u07&h=" + "x" * 200 + "&near=f02"
    with looking(browser, films, path) as page:
        for width in (320, 390, 768, 1360):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") == width


CONTRASTS = """() => {
    const rgb = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
    const light = (c) => {
        const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        const [r, g, b] = c.slice(0, 3).map((v) => linear(v / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (at) => {
        for (; at; at = at.parentElement) {
            const c = rgb(getComputedStyle(at).backgroundColor);
            if (c.length === 3 || c[3] === 1) return c;
            if (c[3] > 0) throw new Error(`half transparent: ${at.className}`);
        }
        return [255, 255, 255];
    };
    const found = [];
    for (const at of document.querySelectorAll('body *')) {
        const own = [...at.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
        if (!own && !at.matches('input')) continue;
        if (at.closest('.unseen, .skip, noscript, title') || !at.getClientRects().length) continue;
        const style = getComputedStyle(at);
        const a = light(rgb(at.matches('svg text') ? style.fill : style.color)), b = light(behind(at));
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        found.push([Math.round(100 * ratio) / 100, at.outerHTML.slice(0, 60)]);
    }
    return found;
}"""


def test_all_text_has_contrast_in_both_schemes(browser: Browser, films: Served) -> None:
    path = "/?h=f00&h=nobody&h=f11&h=f12&o=f00&near=f01&in=Comedy"
    with looking(browser, films, path, reduced_motion="reduce") as page:
        page.locator("#why-a-1").click()
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            ratios = page.evaluate(CONTRASTS)
            assert len(ratios) > 150
            assert [one for one in ratios if one[0] < 4.5] == []
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (int(re.findall(r"\d+", paper)[0]) < 40) == (scheme == "dark")


def test_every_control_has_a_name_and_ids_are_unique(browser: Browser, films: Served) -> None:
    with looking(browser, films, "/?h=f00&h=f12&near=f01") as page:
        controls = "a, button, select, summary, input:not([type=hidden])"
        nameless = page.evaluate(
            """(controls) => [...document.querySelectorAll(controls)]
            .filter((at) => !(at.ariaLabel || at.textContent.trim() || (at.labels && at.labels[0]?.textContent.trim())))
            .map((at) => at.outerHTML.slice(0, 90))""",
            controls,
        )
        assert nameless == []
        ids = page.evaluate("[...document.querySelectorAll('[id]')].map((at) => at.id)")
        assert len(ids) == len(set(ids))
        named = page.evaluate("""() => [...document.querySelectorAll('[aria-labelledby]')]
            .filter((at) => !document.getElementById(at.getAttribute('aria-labelledby'))).length""")
        assert named == 0
        assert page.locator("html[lang]").count() == page.locator("main").count() == page.locator("h1").count() == 1
        levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((at) => Number(at.tagName[1]))")
        assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


def test_less_motion_is_none_where_it_is_asked_for(browser: Browser, films: Served) -> None:
    with looking(browser, films, reduced_motion="reduce") as page:
        durations = "[...document.querySelectorAll('*')].map((at) => getComputedStyle(at).transitionDuration)"
        assert set(page.evaluate(durations)) == {"0s"}


def test_a_title_is_text_whatever_it_says_and_reads_in_its_own_direction(browser: Browser, films: Served) -> None:
    with looking(browser, films, "/?h=f03&h=f04") as page:
        expect(picked(page).nth(1)).to_have_text(HOSTILE.replace("\u202e", "\\u202e"))
        assert page.evaluate("getComputedStyle(document.querySelector('.picked bdi')).direction") == "rtl"


def test_a_service_that_is_gone_is_told_of_and_what_was_shown_stays(browser: Browser, films: Served) -> None:
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.goto(films.address + "/?h=f10")
    before = listed(page, "a")
    context.route("**/*", lambda route: route.abort())
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("alert")).to_contain_text("The service cannot be reached")
    assert listed(page, "a") == before
    context.unroute("**/*")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#trouble")).to_be_hidden()
    context.close()


def test_one_model_without_titles_or_a_stored_run_is_enough(browser: Browser) -> None:
    with served(models_of("sasrec-ce")) as alone, looking(browser, alone, "/?h=i03&h=i04", viewport=PHONE) as page:
        expect(page.locator(".list")).to_have_count(1)
        assert "i05" in listed(page, "a")
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
