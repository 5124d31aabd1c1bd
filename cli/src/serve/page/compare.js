// Two systems side by side on one query, and what moved between them.

import { Refused, ask, element } from "./api.js";
import { TERMS, engine } from "./engine.js";
import { hit, relevance } from "./results.js";
import { choices, explained } from "./systems.js";
import { number, word } from "./words.js";

const SIDES = ["a", "b"];
const at = (id) => document.getElementById(id);

// Whether there is anything to compare.
export function isPossible(index, rerankers) {
  return index !== undefined && choices(index, rerankers).length > 1;
}

// Fills the two lists of systems; `wanted` has the ids that the address names. Gives the choices that
// are made.
export function choose(index, rerankers, wanted) {
  const all = choices(index, rerankers);
  return SIDES.map((side, place) => {
    const chosen = all.find((one) => one.id === wanted[side]) ?? all[Math.min(place, all.length - 1)];
    at(`system-${side}`).replaceChildren(...all.map((one) => element("option", {
      value: one.id, selected: one === chosen,
    }, one.name())));
    at(`system-${side}`).value = chosen.id;
    return chosen;
  });
}

// Searches with both systems and shows what they give.
export async function compare({ path, q, k, chosen, signal }) {
  at("moved").textContent = q.trim() === "" ? word("typeToCompare") : word("loading");
  if (q.trim() === "") {
    SIDES.forEach(clear);
    at("columns").removeAttribute("aria-busy");
    return;
  }
  at("columns").setAttribute("aria-busy", "true");
  const asked = chosen.map((choice) => ask(path("search"), {
    signal,
    body: { q, ...choice.parameters, k, snippets: 1, fields: [], query_terms: TERMS },
  }).catch((error) => {
    if (!(error instanceof Refused)) throw error;
    return error;
  }));
  const answers = await Promise.all(asked);
  at("columns").removeAttribute("aria-busy");
  const lists = answers.map((answer) => (answer instanceof Refused ? undefined : answer.hits));
  SIDES.forEach((side, place) => show(side, answers[place], chosen[place], lists[1 - place], place === 1, { path, q, k }));
  const isWhole = answers.every((answer) => !(answer instanceof Refused));
  at("moved").textContent = isWhole ? moved(lists) : "";
}

function clear(side) {
  for (const part of ["engine", "judged", "hits"]) at(`${part}-${side}`).replaceChildren();
}

function show(side, answer, choice, others, isSecond, { path, q, k }) {
  clear(side);
  if (answer instanceof Refused) {
    at(`engine-${side}`).append(element("p", { class: "error", role: "alert" }, answer.message));
    return;
  }
  at(`engine-${side}`).append(...engine(answer, choice));
  if (answer.judged) at(`judged-${side}`).append(word("relevantFound", number(answer.judged.found), number(answer.judged.relevant)));
  if (answer.hits.length === 0) at(`hits-${side}`).append(element("li", {}, word("none")));
  const { system, field } = choice.parameters;
  const explain = (id) => ask(path("explain"), { body: { id, q, k, ...explained({ system, field }) } });
  const load = (id) => ask(path(`documents/${encodeURIComponent(id)}`));
  const before = new Map((others ?? []).map((one) => [one.id, one.rank]));
  at(`hits-${side}`).append(...answer.hits.map((one) => hit(one, {
    isScored: true,
    explain: system === "fused" ? undefined : explain,
    load,
    prefix: `${side}-`,
    level: "h3",
    marks: [relevance(one), others && move(one.rank, before.get(one.id), isSecond)],
  })));
}

// How a document moved from the other list to this one.
function move(rank, other, isSecond) {
  const badge = (kind, shown, said) => element("span", { class: `move ${kind}` },
    element("span", { "aria-hidden": "true" }, shown), element("span", { class: "hidden" }, said));
  if (other === undefined) {
    const key = isSecond ? "new" : "gone";
    return badge(key, word(key), word(isSecond ? "newSaid" : "goneSaid"));
  }
  // The first list is where documents move from, so only the second shows by how much.
  const by = isSecond ? other - rank : 0;
  if (by === 0) return isSecond ? badge("same", "=", word("sameSaid")) : null;
  return badge(by > 0 ? "up" : "down", `${by > 0 ? "↑" : "↓"}${number(Math.abs(by))}`, word(by > 0 ? "upSaid" : "downSaid", Math.abs(by), number));
}

function moved([first, second]) {
  const ids = new Set(first.map((one) => one.id));
  const shared = second.filter((one) => ids.has(one.id));
  const same = shared.filter((one) => first.find((other) => other.id === one.id).rank === one.rank);
  return word("moved", number(shared.length), number(Math.max(first.length, second.length)), number(same.length));
}
