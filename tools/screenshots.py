"""Pictures of a service's page for the documentation: on a desktop in light and dark, and on a phone.

    nextitem demo --serve --port 8000                            # elsewhere, or nextitem serve RUN RUN
    python tools/screenshots.py http://127.0.0.1:8000 --pick 3 --name page

Needs Chromium (`--chromium`, by default the one on the path); the pictures have 256 colours, so that they stay small.
"""

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

DOCS = Path(__file__).parent.parent / "docs"
DESKTOP, PHONE = {"width": 1360, "height": 960}, {"width": 390, "height": 844}
LARGEST = 300_000  # bytes of a picture


def main() -> None:
    """Make the pictures that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="where the service listens")
    parser.add_argument("--query", help="what stands behind the ? of the page's address; instead of --pick")
    parser.add_argument("--pick", type=int, default=3, help="how many of the popular items make the history")
    parser.add_argument("--name", default="page", help="the beginning of the files' names in docs/")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser")
    asked = parser.parse_args()
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=asked.chromium, args=["--no-sandbox"])
        for view, size, scheme in (("light", DESKTOP, "light"), ("dark", DESKTOP, "dark"), ("phone", PHONE, "light")):
            page = browser.new_page(viewport=size, color_scheme=scheme, device_scale_factor=2 if size is PHONE else 1)
            prepare(page, asked.address, asked.query, asked.pick)
            file = DOCS / f"{asked.name}-{view}.png"
            write(page.screenshot(full_page=view == "light"), file)
            print(f"{file}: {file.stat().st_size:,} bytes")
            page.close()


def prepare(page: Page, address: str, query: str | None, picks: int) -> None:
    """The page with a history, and with the reasons of the first recommendation."""
    page.goto(f"{address}/?{query or ''}")
    for number in range(0 if query else picks):
        page.locator(f"#found-{number + 1}").click()
        expect(page.locator(".picked li")).to_have_count(number + 1)
    expect(page.locator("#service dd").first).not_to_have_text("0")  # it is asked every other second
    page.locator("#why-a-1").click()
    page.mouse.move(0, 0)
    page.evaluate("scrollTo(0, 0)")


def write(picture: bytes, file: Path) -> None:
    """The picture with few colours. Raises SystemExit for one that is too large for a page of documentation."""
    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
    if file.stat().st_size > LARGEST:
        raise SystemExit(f"{file} has {file.stat().st_size:,} bytes; show less, or make it smaller than {LARGEST:,}")


if __name__ == "__main__":
    main()
