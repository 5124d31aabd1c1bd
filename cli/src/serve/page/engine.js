// What the engine did for a search: the terms of the query with their weights, its work and its time.

import { element } from "./api.js";
import { named } from "./systems.js";
import { number, word } from "./words.js";

// Terms that are shown; the others are counted.
export const TERMS = 24;

// A panel for an answer; `choice` says what was asked for.
export function engine(answer, choice) {
  const parts = answer.rankings.map((ranking) => section(ranking, answer.rankings.length > 1));
  if (answer.rankings.length > 1) parts.push(element("p", {}, word("fusedBy", choice.name())));
  if (answer.rerank) {
    const { model, documents, took_ms: ms } = answer.rerank;
    parts.push(element("p", {}, word("rerankedBy", number(documents), model, number(ms, 1))));
  }
  const total = element("p", { class: "total" }, word("total", number(answer.took_ms, 1)));
  return [...parts, total];
}

function section(ranking, hasName) {
  const facts = [];
  if (ranking.dimensions) facts.push(word("dimensions", number(ranking.dimensions)));
  if (ranking.encode_ms !== undefined) facts.push(word("encoded", number(ranking.encode_ms, 1)));
  const unit = ranking.dimensions ? "vectorsScored" : "postingsScored";
  const scored = [number(ranking.postings_scored), number(ranking.postings)];
  facts.push(word(unit, ...scored, ranking.algorithms.join(", ") || "–", number(ranking.search_ms, 1)));
  return element("div", { class: "ranking" },
    hasName ? element("h3", {}, named(ranking)) : null,
    element("ul", { class: "facts" }, ...facts.map((fact) => element("li", {}, fact))),
    ranking.terms ? terms(ranking) : null);
}

// Terms as words that are the larger, and have the longer bar, the more they weigh.
function terms(ranking) {
  const most = Math.max(...ranking.terms.map((term) => term.weight), Number.MIN_VALUE);
  const items = ranking.terms.map((term) => weighted(term, Math.max(0, term.weight / most)));
  const hidden = ranking.term_count - ranking.terms.length;
  if (hidden > 0) items.push(element("li", { class: "more" }, word("moreTerms", hidden, number)));
  const ofVector = ranking.terms.some((term) => term.is_added) ? "weightsAdded" : "weights";
  const caption = ranking.system === "bm25" ? "idf" : ofVector;
  return element("div", {},
    element("p", { class: "caption" }, word(caption)),
    element("ul", { class: "terms" }, ...items));
}

function weighted(term, share) {
  const documents = term.document_frequency === undefined ? undefined : word("documents", term.document_frequency, number);
  const shown = element("span", { class: "word", translate: "no" }, term.term);
  shown.style.fontSize = `${0.8 + 0.45 * share}rem`;
  const bar = element("span", { class: "weight", "aria-hidden": "true" });
  bar.style.width = `${100 * share}%`;
  return element("li", { class: term.is_added ? "added" : undefined, title: documents },
    term.is_added ? element("span", { class: "plus", "aria-hidden": "true" }, "+") : null,
    shown, " ",
    element("small", {}, number(term.weight, 2)),
    element("span", { class: "hidden" }, term.is_added ? `, ${word("added")}` : "", documents ? `, ${documents}` : ""),
    bar);
}
