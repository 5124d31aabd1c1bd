// A page that searches the index beside it as one types. Texts of documents are inserted as text,
// so that none can insert markup.

import { Esparsa } from "./esparsa.js";

const form = document.querySelector("form");
const input = document.querySelector("#query");
const status = document.querySelector("#status");
const progress = document.querySelector("#progress");
const hits = document.querySelector("#hits");

function say(text, isError = false) {
  status.textContent = text;
  status.classList.toggle("error", isError);
}

function marked(parts) {
  return parts.map(({ text, is_match }) => {
    if (!is_match) {
      return document.createTextNode(text);
    }
    const mark = document.createElement("mark");
    mark.textContent = text;
    return mark;
  });
}

/** The address of a document, if it has one that a link may lead to. */
function address(hit) {
  const url = URL.parse?.(hit.document?.url);
  return url && ["http:", "https:"].includes(url.protocol) ? url.href : null;
}

function shown(hit) {
  const item = document.createElement("li");
  const heading = document.createElement("h2");
  const { title, text } = hit.snippets;
  const url = address(hit);
  const place = url ? document.createElement("a") : heading;
  place.append(...(title.length > 0 ? marked(title) : [hit.id]));
  if (url) {
    place.href = url;
    heading.append(place);
  }
  item.append(heading);
  for (const passage of text) {
    const paragraph = document.createElement("p");
    const { begins_text, ends_text, parts } = passage;
    paragraph.append(begins_text ? "" : "… ", ...marked(parts), ends_text ? "" : " …");
    item.append(paragraph);
  }
  return item;
}

function search(index) {
  const query = input.value.trim();
  const url = new URL(location);
  url.search = query ? new URLSearchParams({ q: query }) : "";
  history.replaceState(null, "", url);
  if (!query) {
    hits.replaceChildren();
    return say(`${index.documents.toLocaleString()} documents`);
  }
  try {
    const answer = index.search({ query, k: 20, snippets: 1 });
    hits.replaceChildren(...answer.hits.map(shown));
    const { value, is_exact } = answer.count;
    const count = `${is_exact ? "" : "at least "}${value.toLocaleString()}`;
    const found = `${count} found in ${answer.took_ms.toFixed(1)} ms`;
    // Below its first line, a note draws the place in the query.
    say([found, ...answer.notes.map((note) => note.split("\n")[0])].join("\n"));
  } catch (error) {
    hits.replaceChildren();
    say(error.message, true);
  }
}

try {
  const start = performance.now();
  const index = await Esparsa.open("index/", {
    onProgress({ loaded, total }) {
      progress.max = total;
      progress.value = loaded;
    },
  });
  console.info(`esparsa: the index was open after ${(performance.now() - start).toFixed(0)} ms`);
  progress.hidden = true;
  input.disabled = false;
  input.value = new URLSearchParams(location.search).get("q") ?? "";
  input.focus();
  let next;
  input.addEventListener("input", () => {
    clearTimeout(next);
    next = setTimeout(search, 80, index);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search(index);
  });
  search(index);
} catch (error) {
  progress.hidden = true;
  say(error.message, true);
}
