// A phone in a real browser, driven by lines, for tests/clients: it says what the page shows.
//
//     node phone.mjs USER PASSWORD DOMAIN WEBSOCKET [CERTIFICATE]
//
// CERTIFICATE is the file of the one that it accepts besides those of authorities that browsers know.
//
//     send ADDRESS TEXT | picture FILE | quit      on standard input
//     registered CODE | refuses REASON | sent CODE | message NAME <ADDRESS> TEXT      on standard output

import { X509Certificate, createHash } from "node:crypto";
import { createServer } from "node:http";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [user, password, domain, socket, certificate] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const say = (...words) => console.log(words.join(" "));

const server = createServer(async (request, response) => {
  const files = { "/": ["index.html", "text/html"], "/page.js": ["built/page.js", "text/javascript"] };
  const found = files[new URL(request.url, "http://h").pathname];
  if (!found) return response.writeHead(404).end();
  response.writeHead(200, { "Content-Type": `${found[1]}; charset=utf-8` });
  response.end(await readFile(join(here, found[0])));
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

// Chromium takes no file: it knows an accepted certificate by the hash of its key.
async function accepted(file) {
  const key = new X509Certificate(await readFile(file)).publicKey.export({ type: "spki", format: "der" });
  return `--ignore-certificate-errors-spki-list=${createHash("sha256").update(key).digest("base64")}`;
}

const profile = await mkdtemp(join(tmpdir(), "cimf-browser-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CIMF_CHROMIUM || "/usr/bin/chromium",
  headless: true,
  viewport: { width: 520, height: 560 },
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    ...(certificate ? [await accepted(certificate)] : []),
  ],
});
const page = await browser.newPage();
page.on("console", (line) => {
  const refused = line.text().match(/net::(ERR_CERT_\w+)/);
  if (refused) say("refuses", refused[1]);
});
const query = new URLSearchParams({ user, password, domain, socket, peer: `sip:hikers@${domain}` });
await page.goto(`http://127.0.0.1:${server.address().port}/?${query}`);

let shown = 0;
let registered = false;
async function look() {
  const state = await page.textContent("#state");
  if (state.startsWith("registered") !== registered) {
    registered = !registered;
    say("registered", registered ? 200 : 0);
  }
  const messages = await page.$$eval(".message:not(.own)", (all) =>
    all.map((it) => [it.querySelector("b").innerText, it.dataset.address, it.querySelector("span").innerText]));
  for (const [name, address, text] of messages.slice(shown)) {
    say("message", name || "-", `<${address}>`, text.replaceAll("\n", "\\n"));
  }
  shown = messages.length;
}

let ended = false;
const lines = [];
const input = createInterface({ input: process.stdin });
input.on("line", (line) => lines.push(line)).on("close", () => (ended = true));
while (!ended || lines.length) {
  await look();
  const line = lines.shift();
  const [verb, ...rest] = (line ?? "").split(" ");
  if (verb === "send") {
    const [address, ...text] = rest;
    say("sent", await page.evaluate(([to, what]) => window.send(to, what), [address, text.join(" ")]));
  }
  if (verb === "picture") await page.screenshot({ path: rest.join(" ") });
  if (verb === "quit") break;
  await page.waitForTimeout(50);
}
await browser.close();
await rm(profile, { recursive: true, force: true });
server.close();
// An input that is still open would keep this process alive.
input.close();
process.stdin.destroy();
