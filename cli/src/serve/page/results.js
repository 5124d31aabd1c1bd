// Hits, and what the engine says about each.

import { ask, element } from "./api.js";
import { number, word } from "./words.js";

function marked(parts) {
  return parts.map((part) => (part.is_match ? element("mark", {}, part.text) : part.text));
}

function passage(one) {
  const before = one.begins_text ? "" : "… ";
  const after = one.ends_text ? "" : " …";
  return element("p", {}, before, ...marked(one.parts), after);
}

// The mark of a document that is judged relevant; the grade is said, too, not only colored.
export function relevance(one) {
  if (!(one.relevance > 0)) return null;
  return element("span", { class: "relevant" }, element("span", { "aria-hidden": "true" }, "✓ "), word("relevant", one.relevance));
}

// A hit. `explain` and `load` give what its buttons show; `isScored` is false when its score says
// nothing; `marks` stand beside its title; `prefix` and `level` tell it from the hits of other lists.
export function hit(one, { isScored, explain, load, marks = [relevance(one)], prefix = "", level = "h2" }) {
  const { title = [], text = [] } = one.snippets ?? {};
  const panel = element("div", { class: "panel", hidden: true, id: `panel-${prefix}${one.rank}` });
  const heading = title.length > 0 ? marked(title) : [one.id];
  const button = (key, fill) => element("button", {
    type: "button", "aria-expanded": "false", "aria-controls": panel.id, "data-fill": key,
    onclick: (event) => toggle(event.currentTarget, panel, fill),
  }, word(key));
  const why = async () => [...stages(one), ...(explain ? explanation((await explain(one.id)).explanation) : [])];
  return element("li", {},
    element(level, { class: "title" }, ...heading),
    ...text.map(passage),
    element("div", { class: "address" },
      element("span", {}, `${number(one.rank)} · ${one.id}`),
      ...marks,
      !isScored ? null : element("span", {}, `${word("score")} ${number(one.score, 4)}`),
      !isScored ? null : button("why", why),
      button("document", async () => stored((await load(one.id)).document))),
    panel);
}

// Where a hit was before it was re-ranked, and in the rankings of a fusion.
function stages(one) {
  const parts = [];
  if (one.first_stage) {
    const { rank, score } = one.first_stage;
    parts.push(element("p", {}, word("firstStage", number(one.score, 4), number(rank), number(score, 4))));
  }
  if (one.rankings) {
    const head = ["system", "rank", "score"].map((key) => element("th", { scope: "col" }, word(key)));
    const rows = one.rankings.map((place) => element("tr", {},
      element("td", {}, word(`${place.system}Short`)),
      element("td", {}, number(place.rank)),
      element("td", {}, number(place.score, 4))));
    parts.push(element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)));
  }
  return parts;
}

async function toggle(button, panel, fill) {
  const isOpen = button.getAttribute("aria-expanded") === "true";
  for (const other of button.parentElement.querySelectorAll("button")) other.setAttribute("aria-expanded", "false");
  panel.hidden = isOpen;
  if (isOpen) return;
  button.setAttribute("aria-expanded", "true");
  panel.replaceChildren(element("p", { role: "status" }, word("loading")));
  let content;
  try {
    content = await fill();
  } catch (error) {
    content = [element("p", { class: "error", role: "alert" }, error.message)];
  }
  // Another button may have been pressed meanwhile.
  if (button.getAttribute("aria-expanded") === "true") panel.replaceChildren(...content);
}

function stored(document) {
  if (document === null) return [element("p", {}, word("nothingStored"))];
  return [element("pre", {}, typeof document === "string" ? document : JSON.stringify(document, null, 2))];
}

// The score of a hit taken apart.
function explanation(found) {
  const parts = [element("p", {}, `${word("score")} ${number(found.score, 6)}. ${word("plan", found.algorithm, found.why)}`)];
  if (found.length !== null) parts.push(element("p", {}, word("length", number(found.length), number(found.average_length, 1))));
  if (found.missing?.length > 0) parts.push(element("p", {}, word("missing", found.missing.join(", "))));
  if (found.is_filtered_out) parts.push(element("p", {}, word("filtered")));
  if (found.terms.length > 0) parts.push(terms(found));
  if (found.clauses?.length > 0) parts.push(clauses(found.clauses));
  return parts;
}

function terms(found) {
  const keys = ["term", "inDocuments", "weight", "value", "adds", "share"];
  const head = element("tr", {}, ...keys.map((key) => element("th", { scope: "col", class: key === "share" ? key : undefined }, word(key))));
  const most = Math.max(...found.terms.map((term) => term.contribution), Number.MIN_VALUE);
  const rows = found.terms.map((term) => element("tr", {},
    element("td", {}, term.term),
    element("td", {}, number(term.document_frequency)),
    element("td", {}, number(term.query_weight, 4)),
    element("td", {}, number(term.value)),
    element("td", {}, number(term.contribution, 4)),
    element("td", { class: "share" }, bar(term.contribution / most))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
}

// The figure stands beside it, so the bar says nothing to a screen reader.
function bar(share) {
  const filled = element("span");
  filled.style.width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return element("span", { class: "track", "aria-hidden": "true" }, filled);
}

function clauses(all) {
  const items = all.map((clause) => element("li", {},
    `${clause.score === null ? word("noMatch") : number(clause.score, 4)} — ${clause.query}`,
    clause.clauses?.length > 0 ? clauses(clause.clauses) : null));
  return element("ul", {}, ...items);
}

// Buttons for the pages around the current one; `go` is called with the number of another.
export function pages(current, last, go) {
  const button = (label, page, attributes = {}) => element("button", {
    type: "button", disabled: page < 1 || page > last, onclick: () => go(page), ...attributes,
  }, label);
  const first = Math.max(1, Math.min(current - 2, last - 4));
  const shown = [];
  for (let page = first; page <= Math.min(last, first + 4); page += 1) {
    const isCurrent = page === current;
    shown.push(button(number(page), page, { "aria-label": word("page", page), "aria-current": isCurrent ? "page" : undefined }));
  }
  return [button(word("previous"), current - 1), ...shown, button(word("next"), current + 1)];
}

// What was probably meant, for a search that finds nothing.
export async function meant(index, q) {
  const answer = await ask(`/api/indexes/${encodeURIComponent(index)}/suggest?k=3&q=${encodeURIComponent(q)}`);
  return answer.correction ? [answer.correction] : answer.completions.map((one) => one.query);
}
