// The answers in Node are those of the program, for the same index: ids, scores to the last bit,
// documents, facets and counts.
//
//     node answers.mjs ESPARSA PACKED_DIR INDEX_DIR QUERIES.jsonl CASES.json
//
// Each query of the file is searched as words. A case is a query, or {request, command}: a request,
// and the options and words of `esparsa search` that mean the same; a query tree needs none.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { serve } from "./site.mjs";

const [esparsa, packed, folder, queriesFile, casesFile] = process.argv.slice(2);
const lines = readFileSync(queriesFile, "utf8").split("\n").filter(Boolean);
const asked = lines.map((line) => JSON.parse(line).text);
asked.push(...JSON.parse(readFileSync(casesFile)));
const ofWords = (query) => ({ request: { query }, command: ["--", query] });
const ofTree = (request) => ["--syntax", "json", JSON.stringify(request.query)];
const ofCase = ({ request, command }) => ({ request, command: command ?? ofTree(request) });
const cases = asked.map((one) => (typeof one === "string" ? ofWords(one) : ofCase(one)));

const { Esparsa } = await import(pathToFileURL(resolve(packed, "esparsa.js")));
const wasm = readFileSync(join(packed, "esparsa_wasm_bg.wasm"));
const site = await serve(packed);
const index = await Esparsa.open(new URL("index", site.address), { wasm });

function ofProgram(k, command) {
  const options = ["search", "--index", folder, "--json", "--count", "--k", String(k), ...command];
  const ran = spawnSync(esparsa, options, { encoding: "utf8" });
  assert.equal(ran.status, 0, `${options.join(" ")}: ${ran.stderr}`);
  const [, ...notes] = ran.stderr.trimEnd().split(/^note, searched as words: /m);
  return { ...JSON.parse(ran.stdout), notes: notes.map((note) => note.trimEnd()) };
}

let hits = 0;
let found = 0;
for (const { request, command } of cases) {
  const words = JSON.stringify(request);
  const expected = ofProgram(request.k ?? 10, command);
  const answer = index.search({ count: Number.MAX_SAFE_INTEGER, ...request });
  // Both print a score so that reading it gives the same bits again.
  const shown = ({ rank, id, score, document }) => ({ rank, id, score, document });
  const ranked = ({ hits }) => hits.map(shown);
  assert.deepEqual(ranked(answer), ranked(expected), words);
  assert.deepEqual(answer.count, { value: expected.count, is_exact: true }, words);
  assert.deepEqual(answer.facets, expected.facets ?? [], words);
  assert.deepEqual(answer.notes, expected.notes, words);
  hits += answer.hits.length;
  found += answer.hits.length > 0;
}
assert.ok(found > cases.length / 3, `only ${found} of ${cases.length} find something`);
assert.equal(index.documents, ofProgram(1, ["*"]).documents);
assert.equal(index.schema.find(({ name }) => name === "text")?.kind, "text");
site.close();
console.log(`answers: ${basename(folder)}: ${cases.length} requests, of which ${found} find `
  + `something: the same ${hits} hits as the program's, scores equal to the last bit`);
