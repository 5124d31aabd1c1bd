// The systems that an index can be searched with, as choices, and what each asks of the API.

import { word } from "./words.js";

// A choice has an id for the address, a name, and the parameters of a search.
function choice(id, name, parameters) {
  return { id, name, parameters };
}

function base(index) {
  const counts = new Map();
  for (const { system } of index.systems) counts.set(system, (counts.get(system) ?? 0) + 1);
  return index.systems.flatMap(({ system, field, model }) => {
    if (system === "bm25") return [choice("bm25", () => word("bm25"), {})];
    if (system === "fused") {
      return [
        choice("fused.rrf", () => word("fusedRanks"), { system }),
        choice("fused.weighted-sum", () => word("fusedScores"), { system, fusion: "weighted-sum" }),
      ];
    }
    const of = counts.get(system) > 1 ? `${model}, ${field}` : model;
    return [choice(`${system}.${field}`, () => word(system, of), { system, field })];
  });
}

// All choices for an index: its systems, and each of them re-ranked by each model for that.
export function choices(index, rerankers) {
  const plain = base(index);
  if (!index.stores_documents) return plain;
  const reranked = rerankers.flatMap((rerank) => plain.map((one) => choice(
    `${one.id}+${rerank}`,
    () => word("reranked", one.name(), rerank),
    { ...one.parameters, rerank },
  )));
  return [...plain, ...reranked];
}

// The name of a system within an answer.
export function named({ system, model }) {
  return word(system, model);
}

// What asks for the explanation of a score: that of the search before any re-ranking.
export function explained({ system, field }) {
  return { system, field };
}
