// A static host on this machine, for the tests in Node.

import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = { ".js": "text/javascript", ".wasm": "application/wasm" };

/** Serves a folder, and gives its address and a function that ends the server. */
export async function serve(folder) {
  const server = createServer((request, response) => {
    // A test that computes for long would find a connection that was kept open closed.
    response.setHeader("Connection", "close");
    const { pathname } = new URL(request.url, "http://host");
    const path = join(folder, normalize(decodeURIComponent(pathname)));
    const found = statSync(path, { throwIfNoEntry: false });
    if (!found?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    const type = TYPES[extname(path)] ?? "application/octet-stream";
    response.writeHead(200, { "Content-Type": type });
    createReadStream(path).pipe(response);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const close = () => (server.closeAllConnections(), server.close());
  return { address: `http://127.0.0.1:${server.address().port}/`, close };
}
