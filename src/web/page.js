"use strict";

const byId = (id) => document.getElementById(id);

/** An address of the mirror. From the origin, since fetch refuses what is relative to an address with a password in it. */
const at = (path) => new URL(path, location.origin + location.pathname);

/** An element with text and children; text is never parsed as markup. */
function make(name, text, ...children) {
  const element = document.createElement(name);
  if (text !== null) element.textContent = text;
  element.append(...children);
  return element;
}

function row(...cells) {
  return make("tr", null, ...cells.map((cell) => {
    const made = make("td", String(cell ?? ""));
    if (typeof cell === "number") made.className = "number";
    return made;
  }));
}

function showBoxes(status) {
  const svg = byId("boxes");
  if (!status.picture) return svg.replaceChildren();
  const [width, height] = status.picture;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const part = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    return element;
  };
  svg.replaceChildren(...status.garments.flatMap((garment) => {
    const [x1, y1, x2, y2] = garment.box;
    const size = height / 28;
    return [
      part("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1 }),
      part("text", { x: x1 + size / 3, y: y1 + size * 1.2, "font-size": size }, garment.label),
    ];
  }));
}

function showGarments(garments) {
  const articles = garments.map((garment) => {
    const article = make("article", null, make("h3", `${garment.label} (track ${garment.track})`));
    if (!garment.matches) {
      article.append(make("p", `${garment.gathered} of ${garment.wanted} frames gathered`));
      article.lastChild.className = "hint";
      return article;
    }
    article.append(make("ol", null, ...garment.matches.map((match) =>
      make("li", `${match.title} `, make("span", `${match.id}, ${match.price ?? "no price"}, ${match.score.toFixed(2)}`)))));
    return article;
  });
  if (articles.length === 0) {
    const nobody = make("p", "Nobody is in view.");
    nobody.className = "hint";
    articles.push(nobody);
  }
  byId("garments").replaceChildren(...articles);
}

function showFigures(status) {
  const number = (value, digits = 0) => (value === null || value === undefined ? "unknown" : Number(value.toFixed(digits)));
  const megabytes = status.resident_memory_bytes === null ? null : status.resident_memory_bytes / 1e6;
  const rows = [
    row("recognized frames per second", number(status.frames_per_second, 1)),
    row("products", number(status.products)),
    row("uptime, hours", number(status.uptime_seconds / 3600, 2)),
    row("screen last drawn, seconds ago", number(status.last_present_age_seconds, 2)),
    row("memory, MB", number(megabytes)),
    row("temperature, °C", number(status.temperature_celsius, 1)),
    row("recognition throttled", status.throttle_level === 0 ? "no" : `to 1/${2 ** status.throttle_level}`),
    row("screen", status.screen_dark ? "dark" : "on"),
  ];
  byId("figures").tBodies[0].replaceChildren(...rows);
  byId("counters").tBodies[0].replaceChildren(
    ...Object.entries(status.counters).map(([name, value]) => row(name.replaceAll("_", " "), value)));
}

function showState(word, reasons) {
  byId("state").textContent = word === "away" ? "the mirror does not respond" : word;
  byId("state").dataset.status = word;
  byId("reasons").hidden = reasons.length === 0;
  byId("reasons").replaceChildren(...reasons.map((reason) => make("li", reason)));
}

function showImport(answer) {
  byId("cannot").hidden = !answer.cannot;
  byId("cannot").textContent = answer.cannot ?? "";
  byId("import").hidden = Boolean(answer.cannot);
  const names = answer.feeds.join("\n");
  // Only if it has changed, or the selection would be lost.
  if (byId("feed").dataset.names !== names) {
    byId("feed").dataset.names = names;
    byId("feed").replaceChildren(...answer.feeds.map((name) => make("option", name)));
  }
  const now = answer.import;
  byId("begin").disabled = now.state === "running";
  const parts = [];
  if (now.state === "running") {
    const bar = make("progress", null);
    if (now.pictures > 0) [bar.max, bar.value] = [now.pictures, now.done];
    const words = now.pictures > 0 ? `${now.done} of ${now.pictures} new pictures` : "reading the feed";
    parts.push(make("p", `${now.feed}: ${words}`), bar);
  } else if (now.state === "failed") {
    parts.push(make("p", `${now.feed} was not imported, the catalogue is unchanged: ${now.fault}`));
    parts[0].className = "warning";
  } else if (now.state === "done") {
    parts.push(...importReport(now.feed, now.report));
  }
  const told = JSON.stringify(now);
  if (byId("importing").dataset.told !== told) {
    byId("importing").dataset.told = told;
    byId("importing").replaceChildren(...parts);
  }
}

function importReport(feed, report) {
  const parts = [make("p", `${feed}: ${report.products} products (${report.added} added, ${report.updated} updated, ` +
    `${report.unchanged} unchanged, ${report.removed} removed)`)];
  const skipped = [
    ...report.skipped_rows.map((row) => [row.line, `row skipped: ${row.reason}`]),
    ...report.skipped_pictures.map((picture) => [picture.line, `picture skipped: ${picture.reason}`]),
  ].sort((a, b) => a[0] - b[0]);
  if (skipped.length > 0) {
    const list = make("ul", null, ...skipped.slice(0, 200).map(([line, words]) => make("li", `line ${line}: ${words}`)));
    list.className = "warning scroll";
    parts.push(make("p", `${skipped.length} skipped:`), list);
  }
  return [...parts, ...report.warnings.map((warning) => make("p", warning))];
}

async function beginImport(event) {
  event.preventDefault();
  const [file] = byId("file").files;
  const feed = file ? file.name : byId("feed").value;
  byId("begin").disabled = true;
  const answer = await fetch(at(`import?${new URLSearchParams({ feed })}`), {
    method: "POST", headers: { "x-vetrina": "1" }, body: file ?? null,
  }).then((answer) => answer.json()).catch(() => ({ error: "the mirror does not respond" }));
  if (answer.error) {
    byId("importing").dataset.told = "";
    const words = make("p", answer.error);
    words.className = "warning";
    byId("importing").replaceChildren(words);
    byId("begin").disabled = false;
  }
  // So that the same file can be chosen again after a change.
  byId("file").value = "";
}

let logged = "";

function showLog(lines) {
  const log = byId("log");
  // After a restart the numbers begin anew.
  const newest = JSON.stringify(lines.at(-1) ?? null);
  if (newest === logged) return;
  logged = newest;
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  log.replaceChildren(...lines.map((line) => {
    const made = make("p", null, make("time", line.time), make("span", ` ${line.text}`));
    made.dataset.level = line.level;
    return made;
  }));
  if (atEnd) log.scrollTop = log.scrollHeight;
}

const getJson = (path) => fetch(at(path)).then((answer) => answer.json());

let shown = null;
let away = false;
let uptime = 0;
let refreshed = Date.now();

/** Asks for the live picture again: a broken stream does not begin again by itself. */
function restartLive() {
  byId("live").src = at(`live.mjpg?${Date.now()}`);
}

async function refresh() {
  try {
    const answer = await fetch(at("status.json"));
    if (!answer.ok) throw new Error(answer.statusText);
    const status = await answer.json();
    showState(status.status, status.reasons);
    byId("summary").textContent = status.summary;
    byId("camera").textContent = status.camera;
    showBoxes(status);
    showGarments(status.garments);
    showFigures(status);
    showImport(await getJson("import.json"));
    showLog((await getJson("log.json")).lines);
    // Its counters begin anew.
    const restarted = away || status.uptime_seconds < uptime;
    uptime = status.uptime_seconds;
    // Another catalogue is searched, if with as many products.
    const catalogue = `${status.products} ${status.counters.reloads}`;
    if (shown !== null && (restarted || shown !== catalogue)) search();
    shown = catalogue;
    // Or this computer slept, and the mirror gave its stream up.
    if (restarted || Date.now() - refreshed > 8000) restartLive();
    away = false;
    refreshed = Date.now();
  } catch {
    away = true;
    showState("away", []);
  }
  setTimeout(refresh, 1000);
}

let latest = 0;

async function search() {
  const asked = ++latest;
  const words = byId("words").value;
  const answer = await getJson(`catalogue.json?${new URLSearchParams({ q: words })}`)
    .catch(() => ({ error: "the mirror does not respond" }));
  if (asked !== latest) return;
  const products = answer.products ?? [];
  const more = answer.found > products.length ? `, the first ${products.length} are shown` : "";
  byId("found").textContent = answer.error ?? `${answer.found} products${more}`;
  byId("products").tBodies[0].replaceChildren(...products.map((product) =>
    row(product.id, product.title, product.brand, product.price)));
}

byId("search").addEventListener("submit", (event) => { event.preventDefault(); search(); });
byId("import").addEventListener("submit", beginImport);
// Too many viewers, or no picture yet.
byId("live").addEventListener("error", () => setTimeout(restartLive, 3000));
let typing = 0;
byId("words").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(search, 250); });
refresh();
search();
