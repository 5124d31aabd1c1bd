// The page: what is searched, kept in the address so that pages can be shared and gone back to.

import { Refused, ask, element } from "./api.js";
import { choose, compare, isPossible } from "./compare.js";
import * as facets from "./facets.js";
import { hit, meant, pages } from "./results.js";
import { Suggestions } from "./suggestions.js";
import { number, preferred, translate, use, word } from "./words.js";

// Hits of a page, unless the server allows fewer.
const HITS = 10;
// Judged queries that are listed.
const JUDGED = 100;
// Matches are counted exactly up to here.
const COUNTED = 10000;

const at = (id) => document.getElementById(id);
const state = {
  indexes: [], rerankers: [], limits: {}, index: "", view: "search", systems: {}, q: "", page: 1, k: HITS, sort: "", checked: new Map(),
};
let running;

const current = () => state.indexes.find((index) => index.name === state.index);
const path = (rest) => `/api/indexes/${encodeURIComponent(state.index)}/${rest}`;

// From the address to the state; a value of a column is `f.COLUMN=JSON`.
function readAddress() {
  const given = new URLSearchParams(location.search);
  state.index = given.get("index") ?? "";
  if (!current()) state.index = state.indexes[0]?.name ?? "";
  state.view = given.get("view") === "compare" && isPossible(current(), state.rerankers) ? "compare" : "search";
  state.systems = { a: given.get("a"), b: given.get("b") };
  state.q = given.get("q") ?? "";
  state.page = Math.max(1, Number.parseInt(given.get("page") ?? "1", 10) || 1);
  state.sort = given.get("sort") ?? "";
  state.checked = new Map();
  for (const [key, value] of given) {
    if (!key.startsWith("f.")) continue;
    try {
      JSON.parse(value);
    } catch {
      continue;
    }
    const column = key.slice(2);
    state.checked.set(column, (state.checked.get(column) ?? new Set()).add(value));
  }
}

// The address of what the state says, in this view or another.
function address(view = state.view) {
  const given = new URLSearchParams();
  if (state.indexes.length > 1) given.set("index", state.index);
  if (view === "compare") given.set("view", view);
  if (state.q) given.set("q", state.q);
  if (view === "compare") {
    for (const side of ["a", "b"]) if (state.systems[side]) given.set(side, state.systems[side]);
    return `${location.pathname}?${given}`;
  }
  if (state.page > 1) given.set("page", state.page);
  if (state.sort) given.set("sort", state.sort);
  for (const [column, values] of state.checked) for (const value of values) given.append(`f.${column}`, value);
  return `${location.pathname}?${given}`;
}

function writeAddress() {
  if (address() !== location.pathname + location.search) history.pushState(null, "", address());
}

function request(more) {
  const asked = state.q.trim() === "" ? { query: { all: {} } } : { q: state.q };
  return { ...asked, ...more };
}

// Searches for what the state says. A newer search stops an older one.
async function search() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  at("query").value = state.q;
  document.title = state.q ? `${state.q} – esparsa` : "esparsa";
  showView();
  if (state.view === "compare") return compareSystems(signal);
  const columns = facets.columns(current());
  const narrowed = columns.filter((column) => state.checked.get(column)?.size > 0);
  const body = request({
    k: state.k, offset: (state.page - 1) * state.k, snippets: 2, fields: [], count: COUNTED,
    filter: facets.filters(state.checked), sort: state.sort ? [state.sort] : [],
    facets: columns.filter((column) => !narrowed.includes(column)).map(facets.wanted),
  });
  // The counts of a column that narrows the search are those without its own values.
  const others = narrowed.map((column) => ask(path("search"), {
    signal,
    body: request({ k: 1, fields: [], filter: facets.filters(state.checked, column), facets: [facets.wanted(column)] }),
  }));
  try {
    const [answer, ...more] = await Promise.all([ask(path("search"), { body, signal }), ...others]);
    showResults(answer);
    showFacets([...answer.facets, ...more.flatMap((one) => one.facets)], columns);
    if (answer.hits.length === 0 && state.q) await showMeant(signal);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Refused)) throw error;
    showError(error.message);
  }
}

// Searches with the two systems that are chosen.
async function compareSystems(signal) {
  const chosen = choose(current(), state.rerankers, state.systems);
  try {
    await compare({ path, q: state.q, k: state.k, chosen, signal });
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}

function showView() {
  const isComparing = state.view === "compare";
  at("views").hidden = !isPossible(current(), state.rerankers);
  for (const view of ["search", "compare"]) {
    at(`view-${view}`).href = address(view);
    if (view === state.view) at(`view-${view}`).setAttribute("aria-current", "page");
    else at(`view-${view}`).removeAttribute("aria-current");
  }
  at("results").hidden = isComparing;
  at("comparison").hidden = !isComparing;
  if (isComparing) at("narrow").hidden = true;
  document.querySelector("main").classList.toggle("comparing", isComparing);
  document.querySelector(".skip").href = isComparing ? "#comparison" : "#results";
  if (at("judged").value !== state.q) at("judged").value = [...at("judged").options].some((one) => one.value === state.q) ? state.q : "";
}

// The judged queries of the index, if it has any.
async function showJudged() {
  at("judging").hidden = !current()?.judged_queries;
  if (at("judging").hidden) return at("judged").replaceChildren();
  const { queries } = await ask(path(`suggest?q=&k=${JUDGED}`));
  const options = queries.map((one) => element("option", { value: one.text }, one.text));
  at("judged").replaceChildren(element("option", { value: "" }, word("choose")), ...options);
  return showView();
}

function showResults(answer) {
  const { value, is_exact: isExact } = answer.count;
  const isWhole = state.q.trim() === "" && facets.filters(state.checked).length === 0;
  const found = isWhole ? word("holds", state.index, answer.documents, number) : word(isExact ? "found" : "foundAtLeast", value, number);
  at("summary").textContent = value === 0 && !isWhole ? word("none") : found;
  const { judged } = answer;
  at("judged-found").textContent = judged ? word("relevantFound", number(judged.found), number(judged.relevant)) : "";
  const ms = number(answer.took_ms, 2);
  at("engine").textContent = state.sort
    ? word("sorted", ms)
    : word("engine", number(answer.postings_scored), number(answer.postings), answer.algorithms.join(", ") || "–", ms);
  const notes = answer.notes.map((note) => element("p", { class: "note" }, `${word("noted")}: ${note}`));
  at("notes").replaceChildren(...notes);
  const explain = (id) => ask(path("explain"), { body: request({ id, k: state.k, filter: facets.filters(state.checked) }) });
  const load = (id) => ask(path(`documents/${encodeURIComponent(id)}`));
  const isScored = state.sort === "" && state.q.trim() !== "";
  at("hits").replaceChildren(...answer.hits.map((one) => hit(one, { isScored, explain, load })));
  showSorts();
  // The server bounds how far pages go.
  const last = Math.min(Math.ceil(value / state.k), Math.floor(state.limits.max_k / state.k));
  at("pages").hidden = last < 2;
  at("pages").replaceChildren(...(last < 2 ? [] : pages(state.page, last, goTo)));
}

function showFacets(counted, columns) {
  const focused = document.activeElement?.dataset ?? {};
  const ordered = columns.map((column) => counted.find((facet) => facet.column === column));
  const groups = ordered.map((facet) => facet?.values && facets.group(facet, state.checked, () => change({ page: 1 })));
  at("facets").replaceChildren(...groups.filter(Boolean));
  const isEmpty = at("facets").children.length === 0;
  at("narrow").hidden = isEmpty;
  document.querySelector("main").classList.toggle("alone", isEmpty);
  // The boxes are new; the keyboard stays where it was.
  for (const box of at("facets").querySelectorAll("input")) {
    if (focused.column !== undefined && box.dataset.column === focused.column && box.dataset.value === focused.value) box.focus();
  }
}

function showSorts() {
  const columns = current().fields.filter((field) => field.kind === "column").map((field) => field.name);
  const option = (value, text) => element("option", { value, selected: value === state.sort }, text);
  const options = columns.flatMap((column) => [
    option(`${column}:asc`, word("rising", column)), option(`${column}:desc`, word("falling", column)),
  ]);
  at("sort").replaceChildren(option("", word("relevance")), ...options);
  at("sorting").hidden = columns.length === 0;
}

async function showMeant(signal) {
  const texts = await meant(state.index, state.q);
  if (signal.aborted || texts.length === 0) return;
  const buttons = texts.map((text) => element("button", { type: "button", onclick: () => change({ q: text, page: 1 }) }, text));
  at("notes").append(element("p", {}, word("meant"), " ", ...buttons));
}

function showError(message) {
  at("summary").textContent = "";
  at("engine").textContent = "";
  at("judged-found").textContent = "";
  at("hits").replaceChildren();
  at("pages").hidden = true;
  at("notes").replaceChildren(element("p", { class: "error", role: "alert" }, message));
}

// Changes the state, and searches.
function change(more) {
  Object.assign(state, more);
  writeAddress();
  return search();
}

async function goTo(page) {
  await change({ page });
  at("results").focus();
  window.scrollTo(0, 0);
}

function speak(language) {
  use(language);
  at("language").value = language;
  translate();
}

function listen() {
  const suggestions = new Suggestions(at("query"), at("suggestions"), {
    index: () => state.index,
    choose: (q) => change({ q, page: 1 }),
  });
  at("search").addEventListener("submit", (event) => {
    event.preventDefault();
    suggestions.close();
    change({ q: at("query").value, page: 1 });
  });
  at("index").addEventListener("change", (event) => {
    state.index = event.currentTarget.value;
    const view = isPossible(current(), state.rerankers) ? state.view : "search";
    change({ view, systems: {}, page: 1, sort: "", checked: new Map() });
    showJudged().catch(() => {});
  });
  for (const view of ["search", "compare"]) {
    at(`view-${view}`).addEventListener("click", (event) => {
      // Other buttons and keys open the address elsewhere.
      if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      change({ view });
    });
  }
  for (const side of ["a", "b"]) {
    at(`system-${side}`).addEventListener("change", (event) => {
      change({ systems: { ...state.systems, [side]: event.currentTarget.value } });
    });
  }
  at("judged").addEventListener("change", (event) => {
    if (event.currentTarget.value !== "") change({ q: event.currentTarget.value, page: 1 });
  });
  at("sort").addEventListener("change", (event) => change({ sort: event.currentTarget.value, page: 1 }));
  at("language").addEventListener("change", (event) => {
    speak(event.currentTarget.value);
    if (at("judged").options.length > 0) at("judged").options[0].textContent = word("choose");
    search();
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, select, textarea, dialog");
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
    event.preventDefault();
    at("query").focus();
    at("query").select();
  });
  window.addEventListener("popstate", () => {
    readAddress();
    at("index").value = state.index;
    search();
  });
}

async function start() {
  speak(preferred());
  at("narrow").open = window.matchMedia("(min-width: 44rem)").matches;
  listen();
  try {
    const { indexes, rerankers, limits } = await ask("/api/indexes");
    Object.assign(state, { indexes, rerankers, limits, k: Math.min(HITS, limits.max_k) });
  } catch (error) {
    showError(error.message);
    return;
  }
  readAddress();
  const options = state.indexes.map((index) => element("option", { value: index.name }, index.name));
  at("index").replaceChildren(...options);
  at("index").value = state.index;
  at("index").parentElement.hidden = options.length < 2;
  await Promise.all([search(), showJudged().catch(() => {})]);
  at("query").focus();
}

start();
