// Times in Node: how long it takes to open an index whose files are there, and to search it.
//
//     node speed.mjs PACKED_DIR QUERIES.jsonl

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [packed, queriesFile] = process.argv.slice(2);
const module = pathToFileURL(resolve(packed, "esparsa_wasm.js"));
const { default: init, EsparsaIndex } = await import(module);
const ms = (begun) => performance.now() - begun;

let begun = performance.now();
const wasm = readFileSync(join(packed, "esparsa_wasm_bg.wasm"));
const { memory } = await init({ module_or_path: wasm });
const compile = ms(begun);

const files = JSON.parse(readFileSync(join(packed, "index/files.json")));
const read = (name) => new Uint8Array(readFileSync(join(packed, "index", name)));
const contents = files.map(({ name }) => [name, read(name)]);
const bytes = contents.reduce((sum, [, content]) => sum + content.length, 0);
begun = performance.now();
const index = new EsparsaIndex();
contents.forEach(([name, content]) => index.add_file(name, content));
const copy = ms(begun);
begun = performance.now();
index.open();
const open = ms(begun);

const lines = readFileSync(queriesFile, "utf8").split("\n").filter(Boolean);
const queries = lines.map((line) => JSON.parse(line).text);
const report = [`${index.documents()} documents, ${bytes} bytes: compile ${compile.toFixed(0)} ms, `
  + `copy ${copy.toFixed(1)} ms, open ${open.toFixed(2)} ms`];
for (const [name, options] of [
  ["first run, checksums included", {}],
  ["again", {}],
  ["with a snippet of each hit", { snippets: 1 }],
]) {
  const before = process.cpuUsage();
  const times = queries.map((query) => {
    const begun = performance.now();
    index.search(JSON.stringify({ query, k: 10, ...options }));
    return ms(begun);
  }).sort((a, b) => a - b);
  const used = process.cpuUsage(before);
  const mean = ((used.user + used.system) / 1000 / times.length).toFixed(2);
  const at = (share) => `${times[Math.floor(share * (times.length - 1))].toFixed(2)} ms`;
  report.push(`${times.length} queries, 10 hits, ${name}: median ${at(0.5)}, 95 % ${at(0.95)}, `
    + `max ${at(1)}, mean of CPU time ${mean} ms`);
}
report.push(`memory of the engine: ${(memory.buffer.byteLength / 1e6).toFixed(0)} MB`);
console.log(report.map((line) => `speed: ${line}`).join("\n"));
