"""Drives the page of `esparsa serve`, checks what it shows, and saves screenshots."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from checks import check_contrast, check_labels, check_width

WIDTHS = {"narrow": 360, "wide": 1440}
SCHEMES = ["light", "dark"]
LANGUAGES = {"en": "Search", "pt": "Buscar", "ko": "검색"}
# Models on a slow CPU take their time.
PATIENCE_MS = 60_000


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ["esparsa", "browser", "screenshots", "queries", "qrels", "index", "shop"]:
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("options", nargs="*", help="options of `esparsa serve`")
    return parser.parse_args()


def serve(given: argparse.Namespace) -> tuple[subprocess.Popen, str]:
    """Starts the server, and gives its address."""
    command = [
        given.esparsa, "serve", "--listen", "127.0.0.1:0",
        "--index", f"docs={given.index}", "--index", f"shop={given.shop}",
        "--queries", f"docs={given.queries}", "--qrels", f"docs={given.qrels}",
        "--timeout-ms", str(PATIENCE_MS), *given.options,
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline()
    address = line.strip().removeprefix("listening on ")
    if not address.startswith("http"):
        sys.exit(f"expected the address of the server, found {line!r}")
    return server, address


class Session:
    """One page at one width and in one color scheme."""

    def __init__(self, page: Page, address: str, name: str, folder: Path, query: str):
        self.page, self.address, self.name, self.folder = page, address, name, folder
        self.query = query
        self.errors: list[str] = []
        page.on("console", lambda message: self.note(message))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.set_default_timeout(PATIENCE_MS)

    def note(self, message):
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def open(self, parameters: str):
        self.page.goto(f"{self.address}?{parameters}")
        self.page.wait_for_load_state("networkidle")

    def done(self, step: str, is_whole: bool = False):
        """Checks what holds of every step, and saves what it looks like."""
        self.page.wait_for_load_state("networkidle")
        check_width(self.page, f"{self.name}: {step}")
        check_labels(self.page, f"{self.name}: {step}")
        check_contrast(self.page, f"{self.name}: {step}")
        assert not self.errors, f"{self.name}: {step}: {self.errors}"
        self.page.screenshot(path=self.folder / f"{self.name}-{step}.png", full_page=is_whole)
        print(f"{self.name}: {step}", flush=True)

    def search(self):
        page = self.page
        self.open("index=docs")
        page.fill("#query", self.query)
        page.keyboard.press("Enter")
        expect(page.locator("#hits > li").first).to_be_visible()
        expect(page.locator("#judged-found")).to_contain_text("relevant")
        assert page.locator("#judged option").count() > 2
        assert page.evaluate("document.title").startswith(self.query)
        self.done("search")
        why = page.locator("#hits button[data-fill=why]").first
        why.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#hits .panel table").first).to_be_visible()
        expect(why).to_have_attribute("aria-expanded", "true")
        self.done("explanation")
        page.locator("#pages [aria-label='Page 2']").click()
        expect(page.locator("#pages [aria-current=page]")).to_have_text("2")
        assert "page=2" in page.url
        page.go_back()
        expect(page.locator("#pages [aria-current=page]")).to_have_text("1")

    def suggestions(self):
        page = self.page
        self.open("index=shop")
        page.focus("#query")
        page.keyboard.type("te")
        expect(page.locator("#suggestions li").first).to_be_visible()
        page.keyboard.press("ArrowDown")
        active = page.get_attribute("#query", "aria-activedescendant")
        assert active == "suggestion-0", active
        self.done("suggestions")
        page.keyboard.press("Enter")
        expect(page.locator("#suggestions")).to_be_hidden()
        expect(page.locator("#query")).to_have_value("tea")
        expect(page.locator("#hits mark").first).to_be_visible()

    def facet(self):
        page = self.page
        self.open("index=shop&q=tea")
        before = page.inner_text("#summary")
        if not page.locator("#narrow").evaluate("details => details.open"):
            page.locator("#narrow summary").click()
        box = page.locator("#facets input[data-value='\"red\"']")
        box.focus()
        page.keyboard.press("Space")
        expect(page.locator("#summary")).not_to_have_text(before)
        expect(page.locator("#facets input:focus")).to_have_attribute("data-value", '"red"')
        assert "f.color" in page.url
        self.done("facet")

    def comparison(self):
        page = self.page
        self.open("index=docs")
        if page.locator("#views").is_hidden():
            print(f"{self.name}: the server has no models, so nothing is compared")
            return
        page.locator("#view-compare").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#comparison")).to_be_visible()
        page.fill("#query", self.query)
        page.keyboard.press("Enter")
        for side in "ab":
            expect(page.locator(f"#hits-{side} > li").first).to_be_visible()
        expect(page.locator("#moved")).to_contain_text("in both lists")
        expect(page.locator("#engine-a .terms li").first).to_be_visible()
        assert page.locator("#hits-b .move").count() == page.locator("#hits-b > li").count()
        assert page.locator("#comparison .relevant").count() > 0
        self.done("comparison", is_whole=True)
        values = page.eval_on_selector_all("#system-b option", "all => all.map(one => one.value)")
        for value in values[1:]:
            page.select_option("#system-b", value)
            expect(page.locator("#columns")).not_to_have_attribute("aria-busy", "true")
            expect(page.locator("#engine-b .total")).to_be_visible()
            page.locator("#hits-b button[data-fill=why]").first.click()
            expect(page.locator("#hits-b .panel").first).not_to_contain_text("Loading")
            assert page.locator("#hits-b .error, #engine-b .error").count() == 0
            self.done(f"comparison-{value.replace('.', '-').replace('+', '-')}", is_whole=True)
        page.reload()
        expect(page.locator("#system-b")).to_have_value(values[-1])

    def languages(self):
        page = self.page
        view = "view=compare&" if page.locator("#views").is_visible() else ""
        self.open(f"index=docs&{view}q={self.query}")
        for language, word in LANGUAGES.items():
            page.select_option("#language", language)
            expect(page.locator("form button.main").first).to_have_text(word)
            assert page.get_attribute("html", "lang") == language
            page.wait_for_load_state("networkidle")
            text = page.inner_text("body")
            assert "undefined" not in text and "[object" not in text, text
            self.done(f"language-{language}", is_whole=True)
        page.select_option("#language", "en")


def judged_query(given: argparse.Namespace) -> str:
    """The text of the first query that has judgements."""
    judged = {line.split()[0] for line in Path(given.qrels).read_text().splitlines()[1:]}
    for line in Path(given.queries).read_text().splitlines():
        query = json.loads(line)
        if query["_id"] in judged:
            return query["text"]
    sys.exit("expected a query with judgements, found none")


def main():
    given = arguments()
    expect.set_options(timeout=PATIENCE_MS)
    folder = Path(given.screenshots)
    folder.mkdir(parents=True, exist_ok=True)
    query = judged_query(given)
    server, address = serve(given)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=given.browser or None, args=["--no-sandbox"]
            )
            for scheme in SCHEMES:
                for width_name, width in WIDTHS.items():
                    context = browser.new_context(
                        viewport={"width": width, "height": 900}, color_scheme=scheme, locale="en-US"
                    )
                    name = f"{width_name}-{scheme}"
                    session = Session(context.new_page(), address, name, folder, query)
                    session.search()
                    session.suggestions()
                    session.facet()
                    session.comparison()
                    session.languages()
                    context.close()
            browser.close()
    finally:
        server.terminate()
        server.wait(timeout=30)
    print(f"done; the screenshots are in {folder}")


if __name__ == "__main__":
    main()
