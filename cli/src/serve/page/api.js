// Requests to the API, with the token if the server asks for one, and elements for what comes back.

import { word } from "./words.js";

const KEY = "esparsa-token";

// An answer with an error; its message says what to do.
export class Refused extends Error {}

export async function ask(path, { body, signal } = {}) {
  const token = sessionStorage.getItem(KEY);
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const options = { headers, signal };
  if (body !== undefined) Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(word("failed"));
  }
  const json = await response.json().catch(() => ({}));
  if (response.status === 401) {
    await askForToken();
    return ask(path, { body, signal });
  }
  if (!response.ok) throw new Refused(json.error?.message ?? `${response.status}`);
  return json;
}

let asking;

// One dialog, however many requests wait for the token.
function askForToken() {
  asking ??= new Promise((resolve, reject) => {
    const dialog = document.querySelector("#token");
    const input = document.querySelector("#token-value");
    input.value = "";
    dialog.addEventListener("close", () => {
      sessionStorage.setItem(KEY, input.value);
      asking = undefined;
      // Escape closes the dialog too.
      if (input.value === "") reject(new Refused(word("tokenTitle")));
      else resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

// An element with attributes and children. Strings become text, never markup.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}
