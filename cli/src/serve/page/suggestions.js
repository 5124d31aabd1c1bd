// The list below the search box: a combobox that arrows, Enter and Escape work.

import { ask, element } from "./api.js";
import { number, word } from "./words.js";

// Long enough that fast typing asks once, short enough to feel immediate.
const DELAY_MS = 90;
// Judged queries that are suggested.
const JUDGED = 5;

// What stands beside a suggestion: how many documents have it, or that it is a judged query.
function note({ documents, note: text }) {
  const shown = text ?? (documents === undefined ? undefined : number(documents));
  return shown === undefined ? null : element("small", {}, shown);
}

export class Suggestions {
  // `index` gives the name of the index, `choose` is called with the text that was chosen.
  constructor(input, list, { index, choose }) {
    Object.assign(this, { input, list, index, choose, active: -1, found: [] });
    input.addEventListener("input", () => this.later());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("blur", () => this.close());
    // The click comes after the box has lost its focus, which closes the list.
    list.addEventListener("pointerdown", (event) => event.preventDefault());
  }

  later() {
    clearTimeout(this.timer);
    if (this.input.value.trim() === "") this.close();
    else this.timer = setTimeout(() => this.load(), DELAY_MS);
  }

  async load() {
    this.running?.abort();
    const text = this.input.value;
    if (!this.index()) return this.close();
    this.running = new AbortController();
    const path = `/api/indexes/${encodeURIComponent(this.index())}/suggest?k=8&q=${encodeURIComponent(text)}`;
    try {
      const answer = await ask(path, { signal: this.running.signal });
      const corrected = answer.correction ? [{ query: answer.correction, text: answer.correction }] : [];
      const found = answer.completions.length > 0 ? answer.completions : corrected;
      const judged = answer.queries.slice(0, JUDGED).map((one) => ({ query: one.text, text: one.text, note: word("judged") }));
      const isNew = (one, place, all) => one.query !== text && all.findIndex((other) => other.query === one.query) === place;
      this.show([...found, ...judged].filter(isNew));
    } catch {
      // Without suggestions the box still works.
      this.close();
    }
  }

  show(found) {
    if (document.activeElement !== this.input) return this.close();
    this.found = found;
    this.active = -1;
    this.list.replaceChildren(...found.map((one, place) => element("li", {
      id: `suggestion-${place}`,
      role: "option",
      "aria-selected": "false",
      onclick: () => this.take(place),
    }, element("span", {}, one.query), note(one))));
    this.list.hidden = found.length === 0;
    this.input.setAttribute("aria-expanded", String(found.length > 0));
    this.input.removeAttribute("aria-activedescendant");
  }

  close() {
    clearTimeout(this.timer);
    this.running?.abort();
    this.list.hidden = true;
    this.found = [];
    this.active = -1;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  take(place) {
    this.input.value = this.found[place].query;
    this.close();
    this.choose(this.input.value);
  }

  key(event) {
    // The keys of an input method choose among its own candidates.
    if (event.isComposing) return;
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps && this.found.length > 0) {
      event.preventDefault();
      this.move(steps[event.key]);
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      this.load();
    } else if (event.key === "Enter" && this.active >= 0) {
      event.preventDefault();
      this.take(this.active);
    } else if (event.key === "Escape" && this.found.length > 0) {
      event.preventDefault();
      this.close();
    }
  }

  // One place more than there are suggestions: the box itself, without any.
  move(step) {
    const places = this.found.length + 1;
    this.active = (this.active + 1 + step + places) % places - 1;
    [...this.list.children].forEach((item, place) => {
      item.setAttribute("aria-selected", String(place === this.active));
      if (place === this.active) item.scrollIntoView({ block: "nearest" });
    });
    if (this.active < 0) this.input.removeAttribute("aria-activedescendant");
    else this.input.setAttribute("aria-activedescendant", `suggestion-${this.active}`);
  }
}
