"""Checks that hold of the page in every state: its width, its labels and its contrast."""

from playwright.sync_api import Page

# The ratio that the guidelines for accessible content ask for, of small and of large text.
SMALL, LARGE = 4.5, 3.0

LABELS = """() => {
  const shown = (node) => node.checkVisibility({ checkVisibilityCSS: true });
  const name = (node) => node.ariaLabel
    || node.getAttribute("aria-labelledby")?.split(" ").map((id) => document.getElementById(id)?.textContent).join("")
    || [...(node.labels ?? [])].map((label) => label.textContent).join("")
    || node.textContent || node.title;
  const controls = [...document.querySelectorAll("input, select, button, a[href], nav, dialog[open]")];
  return controls.filter((node) => shown(node) && !name(node)?.trim()).map((node) => node.outerHTML.slice(0, 200));
}"""

CONTRAST = """() => {
  const numbers = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const channel = (value) => (value /= 255, value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = numbers(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !node.checkVisibility({ checkVisibilityCSS: true })) continue;
    if (node.closest(".hidden, .skip, option, noscript, button:disabled, script")) continue;
    const style = getComputedStyle(node);
    const [light, dark] = [luminance(numbers(style.color)), luminance(ground(node))].sort((a, b) => b - a);
    const size = Number.parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    found.push({ ratio: (light + 0.05) / (dark + 0.05), isLarge, text: text.slice(0, 60), tag: node.className || node.tagName });
  }
  return found;
}"""


def check_width(page: Page, step: str):
    """Nothing may be wider than the window."""
    wide, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= window, f"{step}: the page is {wide} px wide in a window of {window} px"


def check_labels(page: Page, step: str):
    """Whatever can be worked has a name."""
    without = page.evaluate(LABELS)
    assert not without, f"{step}: without a name: {without}"


def check_contrast(page: Page, step: str):
    """Text stands out from its ground."""
    texts = page.evaluate(CONTRAST)
    assert texts, f"{step}: expected text, found none"
    for text in texts:
        least = LARGE if text["isLarge"] else SMALL
        assert text["ratio"] >= least, f"{step}: contrast {text['ratio']:.2f} of {text['tag']}: {text['text']}"
