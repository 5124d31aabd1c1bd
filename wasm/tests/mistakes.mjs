// Mistakes are errors with the message of the library, and the engine works on. Damaged files are
// errors, or change nothing.
//
//     node mistakes.mjs PACKED_DIR FIELD

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { serve } from "./site.mjs";

const [packed, field] = process.argv.slice(2);
const module = (name) => import(pathToFileURL(resolve(packed, name)));
const { Esparsa } = await module("esparsa.js");
const { EsparsaIndex } = await module("esparsa_wasm.js");
const wasm = readFileSync(join(packed, "esparsa_wasm_bg.wasm"));
const site = await serve(packed);
const base = new URL("index/", site.address);

let asked = 0;
const loads = [];
const index = await Esparsa.open(base, { wasm, onProgress: (progress) => loads.push(progress) });
assert.deepEqual(loads[0].loaded, 0);
assert.deepEqual(loads.at(-1).loaded, loads.at(-1).total);

const question = { query: "water OR volcano", k: 20, snippets: 2 };
const answer = (index) => ({ ...index.search(question), took_ms: 0 });
const expected = answer(index);
assert.ok(expected.hits.length > 5);
assert.ok(expected.hits[0].snippets.text[0].parts.some((part) => part.is_match));

/** Whether an error is one that a user can act on, and not a trap. */
function isMessage(error, pattern) {
  const isTrap = error instanceof WebAssembly.RuntimeError;
  assert.ok(error instanceof Error && !isTrap, `a trap: ${error.stack}`);
  assert.match(error.message, pattern);
  return true;
}

function refused(work, pattern) {
  assert.throws(work, (error) => isMessage(error, pattern));
  assert.deepEqual(answer(index), expected);
  asked += 1;
}

const nested = (depth) => `${'{"bool":{"must":['.repeat(depth)}{"all":{}}${"]}}".repeat(depth)}`;
const tree = (json) => ({ query: JSON.parse(json) });
const requests = [
  [{}, /missing field `query`/],
  [{ query: "a", kk: 1 }, /unknown field `kk`, expected one of `query`/],
  [{ query: 7 }, /expected words or a query tree in `query`, found `7`/],
  [{ query: null }, /found `null`/],
  [{ query: ["a"] }, /expected words or a query tree/],
  [{ query: "a", k: 0 }, /expected `k` from 1/],
  [{ query: "a", k: -1 }, /invalid value: integer `-1`/],
  [{ query: "a", k: 1e12 }, /correct it/],
  [{ query: "a", k: 4294967295, offset: 4294967295 }, /together up to 10000/],
  [{ query: "a", k: 1.5 }, /expected usize/],
  [{ query: "a", fields: ["nowhere"] }, /nowhere/],
  [{ query: "a", fields: [] }, /expected a field of text/],
  [{ query: "a".repeat(9000) }, /at most 8192 bytes/],
  [{ query: "year:[", strict: true }, /expected/],
  [{ query: { text: { nowhere: "a" } } }, /nowhere/],
  [{ query: { txet: {} } }, /expected/],
  [{ query: { all: {} }, strict: true }, /leave them out/],
  [{ query: { phrase: { [field]: { text: "a b", slop: 1e9 } } } }, /slop/],
  [{ query: { regex: { [field]: "(" } } }, /expected/],
  [{ query: { regex: { [field]: "(((a{1,100}){1,100}){1,100}){1,100}" } } }, /./],
  [{ query: { fuzzy: { [field]: { term: "a", distance: 9 } } } }, /distance|edits/],
  [tree(nested(100)), /nested|deep|depth|recursion/],
  [{ query: "a", filter: [{ range: { nowhere: { gt: 1 } } }] }, /nowhere/],
  [{ query: "a", filter: "x" }, /expected a sequence/],
  [{ query: "a", filter: Array(300).fill({ all: {} }) }, /at most 256 of `filter`/],
  [{ query: "a", facets: ["nowhere"] }, /nowhere/],
  [{ query: "a", facets: ["x:many"] }, /expected `COLUMN` or `COLUMN:N`/],
  [{ query: "a", sort: ["nowhere"] }, /nowhere/],
  [{ ...question, snippets: 101 }, /1 to 100 passages/],
  [{ ...question, snippet_length: 0 }, /from 1 to 10000/],
];
for (const [request, pattern] of requests) {
  refused(() => index.search(request), pattern);
}
refused(() => index.search(undefined), /expected a request such as/);
const circular = {};
circular.query = circular;
refused(() => index.search(circular), /circular/);
refused(() => index.complete("nowhere", "a"), /nowhere/);
refused(() => index.complete(field, "a", 0), /expected `n` from 1/);
refused(() => index.complete(field, "a", Number.NaN), /expected `n` from 1/);

// What people type never fails: every mistake of the query language is searched as words.
let seed = 1;
const random = (below) => (seed = (seed * 48271) % 2147483647) % below;
const pieces = [
  "+", "-", "(", ")", '"', "~", "~2", "^", "^2", "*", "?", ":", `${field}:`, "[", " TO ", "]", "{",
  "}", "/", "\\", " AND ", " OR ", " NOT ", "@2", ">=", "IN(", " ", "volcano", "water", "é", "한글",
  "İ", "ﬃ", "\u{1F469}\u200D\u{1F467}", "\0", "\u0301",
];
for (let number = 0; number < 3000; number += 1) {
  const parts = Array.from({ length: 1 + random(12) }, () => pieces[random(pieces.length)]);
  const query = parts.join("");
  // Numbers of matching terms are limited; nothing else is refused.
  try {
    index.search({ query, snippets: 1, snippet_length: 1 + random(60) });
  } catch (error) {
    isMessage(error, /terms|limit|expected/);
  }
}
const piled = [
  ["(", 8000], ["+", 8000], ["a OR ", 1600], ["NOT ", 2000], ['"', 8000], ["/(a|b)*/ ", 800],
];
for (const [piece, times] of piled) {
  const query = piece.repeat(times);
  try {
    index.search({ query });
  } catch (error) {
    isMessage(error, /expected|limit/);
  }
}
assert.deepEqual(answer(index), expected);

// Order of the calls.
refused(() => new EsparsaIndex().search('{"query":"a"}'), /expected an open index/);
refused(() => new EsparsaIndex().open(), /is not an index: expected a folder with a file/);

// Damage: each byte that is changed gives an error or the same answer.
const files = JSON.parse(readFileSync(join(packed, "index/files.json")));
const read = (name) => new Uint8Array(readFileSync(join(packed, "index", name)));
const contents = new Map(files.map(({ name }) => [name, read(name)]));
const raw = new EsparsaIndex();
contents.forEach((content, name) => raw.add_file(name, content));
raw.open();
const deep = [`{"query":${nested(5000)}}`, `{"query":${"[".repeat(100_000)}`];
for (const request of ["", "[]", "{", "\ud800", ...deep]) {
  refused(() => raw.search(request), /expected a (request such as|query as JSON)/);
}
const outcome = { refused: 0, harmless: 0 };

function damaged(name, bytes) {
  const engine = new EsparsaIndex();
  try {
    for (const [other, content] of contents) {
      engine.add_file(other, other === name ? bytes : content);
    }
    engine.open();
    const found = { ...JSON.parse(engine.search(JSON.stringify(question))), took_ms: 0 };
    assert.deepEqual(found, expected, name);
    outcome.harmless += 1;
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    isMessage(error, /restore the file or rebuild|newer version|older version|is not an index/);
    outcome.refused += 1;
  } finally {
    engine.free();
  }
}

for (const [name, content] of contents) {
  const step = Math.max(1, Math.floor(content.length / 400));
  for (let at = 0; at < content.length; at += step) {
    const bytes = content.slice();
    bytes[at] ^= 1 << random(8);
    damaged(name, bytes);
    damaged(name, content.slice(0, at));
  }
}
assert.ok(outcome.refused > 500, JSON.stringify(outcome));
const missing = new EsparsaIndex();
const { name: manifest } = files.find(({ name }) => name.startsWith("manifest-"));
missing.add_file(manifest, contents.get(manifest));
refused(() => missing.open(), /cannot open|restore/);
// A file that is added again replaces the damaged one.
const repaired = new EsparsaIndex();
for (const [name, content] of contents) {
  repaired.add_file(name, content.slice(0, 10));
}
refused(() => repaired.open(), /restore/);
for (const [name, content] of contents) {
  repaired.add_file(name, content);
}
repaired.open();
const again = JSON.parse(repaired.search(JSON.stringify(question)));
assert.deepEqual({ ...again, took_ms: 0 }, expected);
refused(() => repaired.add_file("x", new Uint8Array(1)), /make another index/);

// The host.
const rejected = (folder, pattern) =>
  assert.rejects(Esparsa.open(folder, { wasm }), (error) => isMessage(error, pattern));
await rejected("http://127.0.0.1:1/", /files.json: expected an answer, found none/);
await rejected(site.address, /files.json: expected a file, found status 404/);
const aborted = Esparsa.open(base, { wasm, signal: AbortSignal.abort() });
await assert.rejects(aborted, { name: "AbortError" });

assert.deepEqual(answer(index), expected);
index.close();
assert.throws(() => index.search(question), /closed/);
site.close();
console.log(`mistakes: ${asked} refused, 3006 random queries; `
  + `damage: ${outcome.refused} refused, ${outcome.harmless} harmless; no trap`);
