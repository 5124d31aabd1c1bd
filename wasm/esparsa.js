// Searches an esparsa index of static files in the browser.
//
//     import { Esparsa } from "./esparsa.js";
//     const index = await Esparsa.open("index/");
//     for (const hit of index.search({ query: "active volcano", snippets: 1 }).hits) …
//
// README.md lists the keys of requests and answers.

import init, { EsparsaIndex } from "./esparsa_wasm.js";

/** An open index. */
export class Esparsa {
  #index;
  #trap = null;

  /**
   * Fetches the files that `files.json` in the folder lists, all at once and whole, and opens the
   * index.
   *
   * @param {string | URL} folder where `wasm/pack` put the index, relative to the page
   * @param {object} [options]
   * @param {(progress: {loaded: number, total: number}) => void} [options.onProgress] is told how
   *   many bytes of the files have come
   * @param {AbortSignal} [options.signal] ends the fetches
   * @param {BufferSource | WebAssembly.Module | URL} [options.wasm] the WebAssembly, if it is not
   *   beside this file
   * @returns {Promise<Esparsa>}
   */
  static async open(folder, { onProgress = () => {}, signal, wasm } = {}) {
    const base = folderUrl(folder);
    const stop = new AbortController();
    const signals = AbortSignal.any([stop.signal, ...(signal ? [signal] : [])]);
    try {
      // The engine is fetched beside the files; each leaves this side's memory when it is added.
      const engine = init(wasm === undefined ? undefined : { module_or_path: wasm })
        .then(() => new EsparsaIndex());
      const load = listed(base, signals).then((files) => {
        const total = files.reduce((sum, file) => sum + file.bytes, 0);
        let loaded = 0;
        const count = (bytes) => onProgress({ loaded: (loaded += bytes), total });
        count(0);
        return Promise.all(files.map(async (file) => {
          const bytes = await content(base, file, count, signals);
          (await engine).add_file(file.name, bytes);
        }));
      });
      const [index] = await Promise.all([engine, load]);
      index.open();
      return new Esparsa(index);
    } catch (error) {
      // One file that fails ends the others.
      stop.abort();
      throw error;
    }
  }

  /** For `open`. */
  constructor(index) {
    this.#index = index;
  }

  /** Searches: `{query: "…", k: 10}` gives `{hits: […], count, facets, notes, took_ms}`. */
  search(request) {
    const start = performance.now();
    // Outside of the call: an error here is none of the engine.
    const json = JSON.stringify(request) ?? "";
    const answer = JSON.parse(this.#call((index) => index.search(json)));
    answer.took_ms = performance.now() - start;
    return answer;
  }

  /** The `n` most frequent terms of a text field, or keywords of a column, with a prefix. */
  complete(field, prefix, n = 10) {
    if (!Number.isInteger(n) || n < 1 || n > 10_000) {
      throw new Error(`expected \`n\` from 1 to 10000, found ${n}; correct it`);
    }
    return JSON.parse(this.#call((index) => index.complete(String(field), String(prefix), n)));
  }

  /** Number of documents. */
  get documents() {
    return this.#call((index) => index.documents());
  }

  /** The fields, with `name`, `kind`, and `analyzer` or `column_type`. */
  get schema() {
    return JSON.parse(this.#call((index) => index.schema()));
  }

  /** Frees the memory of the index, which cannot be searched any more. */
  close() {
    this.#index?.free();
    this.#index = null;
  }

  #call(work) {
    if (this.#index === null) {
      throw new Error("expected an open index, found one that was closed; open it again");
    }
    if (this.#trap !== null) {
      throw new Error(`expected a working engine, found one that stopped (${this.#trap}); `
        + "load the page again");
    }
    try {
      return work(this.#index);
    } catch (error) {
      // After a trap the memory of the engine may be inconsistent; RangeError is a full stack.
      if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) {
        this.#trap = error.message;
      }
      throw error;
    }
  }
}

function folderUrl(folder) {
  // A worker has no document, and Node no location.
  const { document, location } = globalThis;
  const url = new URL(folder, document?.baseURI ?? location?.href ?? import.meta.url);
  if (!url.pathname.endsWith("/")) {
    url.pathname += "/";
  }
  return url;
}

async function listed(base, signal) {
  const url = new URL("files.json", base);
  // The one file whose content changes under its name.
  const files = await (await fetched(url, { signal, cache: "no-cache" })).json().catch((error) => {
    throw new Error(`${url}: expected a list of files in JSON: ${error.message}; `
      + "make it with wasm/pack");
  });
  const isSize = (bytes) => Number.isSafeInteger(bytes) && bytes >= 0;
  const isFile = (file) => typeof file?.name === "string" && isSize(file.bytes);
  if (!Array.isArray(files) || !files.every(isFile)) {
    throw new Error(`${url}: expected an array of objects with \`name\` and \`bytes\`, found `
      + "another value; make it with wasm/pack");
  }
  return files;
}

async function content(base, file, count, signal) {
  const url = new URL(encodeURIComponent(file.name), base);
  // Another index may have files of the same names: the version keeps caches from mixing them.
  if (file.version) {
    url.searchParams.set("v", file.version);
  }
  const reader = (await fetched(url, { signal })).body.getReader();
  const bytes = new Uint8Array(file.bytes);
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      break;
    }
    if (length + value.length <= bytes.length) {
      bytes.set(value, length);
    }
    length += value.length;
    count(value.length);
  }
  if (length !== bytes.length) {
    throw new Error(`${url}: expected ${bytes.length} bytes as files.json says, found ${length}; `
      + "publish all files of the index again");
  }
  return bytes;
}

async function fetched(url, options) {
  const response = await fetch(url, options).catch((error) => {
    // A browser says neither which file nor why; an abort keeps its name.
    throw options.signal.aborted ? error
      : new Error(`${url}: expected an answer, found none (${error.message}); `
        + "check the connection and the address");
  });
  if (!response.ok) {
    throw new Error(`${url}: expected a file, found status ${response.status}; `
      + "publish it, or correct the address");
  }
  return response;
}
