"""Drives the example page in Chromium: it finds something, marks it, and fits a phone.

    python3 browser.py --packed DIR --screenshots DIR [--browser PROGRAM] [--query WORDS]
"""

import argparse
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

# What must hold of every page of this project.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "cli/tests/browser"))
from checks import check_contrast, check_labels, check_width  # noqa: E402

WIDTHS = {"narrow": 360, "wide": 1280}
# A slow machine takes its time.
PATIENCE_MS = 60_000


class Quiet(SimpleHTTPRequestHandler):
    """A static host without a log."""

    def log_message(self, *_):
        pass


def serve(folder: str) -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def drive(page: Page, address: str, query: str, name: str, folder: Path):
    messages = []
    page.on("console", lambda message: messages.append((message.type, message.text)))
    page.on("pageerror", lambda error: messages.append(("error", str(error))))
    page.set_default_timeout(PATIENCE_MS)

    def done(step: str):
        for check in [check_width, check_labels, check_contrast]:
            check(page, f"{name}: {step}")
        errors = [text for kind, text in messages if kind in ("error", "warning")]
        assert not errors, f"{name}: {step}: {errors}"
        page.screenshot(path=folder / f"{name}-{step}.png")

    page.goto(address)
    expect(page.locator("#query")).to_be_focused()
    expect(page.locator("#status")).to_contain_text("documents")
    done("start")
    page.keyboard.type(query)
    expect(page.locator("#hits mark").first).to_be_visible()
    expect(page.locator("#status")).to_contain_text("found in")
    done("hits")
    marks = page.locator("#hits mark").all_inner_texts()
    page.reload()
    expect(page.locator("#hits mark").first).to_have_text(marks[0])
    page.fill("#query", '"unclosed')
    expect(page.locator("#status")).to_contain_text("expected")
    done("note")
    status = page.evaluate(MEASURE, query)
    opened = [text for kind, text in messages if kind == "info"][-1]
    print(f"{name}: {len(marks)} marks, such as {sorted(set(marks))[:5]}; {opened}; {status}")


MEASURE = """async (query) => {
  const { Esparsa } = await import("./esparsa.js");
  const begun = performance.now();
  const index = await Esparsa.open("index/");
  const opened = performance.now() - begun;
  const times = [];
  for (let i = 0; i < 50; i++) {
    times.push(index.search({ query, k: 10, snippets: 1 }).took_ms);
  }
  index.close();
  times.sort((a, b) => a - b);
  return `again: open in ${opened.toFixed(0)} ms, search with snippets in `
    + `${times[25].toFixed(2)} ms (median)`;
}"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--packed", required=True)
    parser.add_argument("--screenshots", required=True, type=Path)
    parser.add_argument("--browser")
    parser.add_argument("--query", default="volcano")
    given = parser.parse_args()
    given.screenshots.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE_MS)
    address = serve(given.packed)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=given.browser or None, args=["--no-sandbox"]
        )
        for scheme in ["light", "dark"]:
            for width_name, width in WIDTHS.items():
                context = browser.new_context(
                    viewport={"width": width, "height": 800}, color_scheme=scheme, locale="en-US"
                )
                name = f"{width_name}-{scheme}"
                drive(context.new_page(), address, given.query, name, given.screenshots)
                context.close()
        browser.close()
    print(f"browser: done; look at the screenshots in {given.screenshots}")


if __name__ == "__main__":
    main()
