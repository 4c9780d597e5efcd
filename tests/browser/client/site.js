/** @file The web site of the pages that use the client. */

import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PAGES = fileURLToPath(new URL("pages", import.meta.url));
const SOURCE = fileURLToPath(new URL("../../../clients/javascript/src", import.meta.url));
const README = fileURLToPath(new URL("../../../clients/javascript/README.md", import.meta.url));
const TYPES = { ".html": "text/html", ".js": "text/javascript" };

/** Serve the pages, the page of the client's README, and the client's source below /src. */
export async function openSite() {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://site.invalid");
    try {
      const isReadme = pathname === "/readme.html";
      const content = isReadme ? await readReadme() : await readFile(fileOf(pathname));
      response.setHeader("Content-Type", TYPES[extname(pathname)]);
      response.end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { origin: `http://127.0.0.1:${server.address().port}`, close };
}

const fileOf = (path) =>
  path.startsWith("/src/") ? join(SOURCE, path.slice("/src/".length)) : join(PAGES, path);

/** The complete page in the README, with the service that the page's address names. */
async function readReadme() {
  const [, page] = /^```html\n(.+?)^```/ms.exec(await readFile(README, "utf8"));
  return page
    .replaceAll("/node_modules/broadcast-sessions-client/", "/")
    .replace(/"wss:.+?"/, 'new URLSearchParams(location.search).get("service")');
}
