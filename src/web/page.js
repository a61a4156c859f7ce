"use strict";

const byId = (id) => document.getElementById(id);

/** An element with text and children; text is never taken for markup. */
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
    const nobody = make("p", "Nobody is there.");
    nobody.className = "hint";
    articles.push(nobody);
  }
  byId("garments").replaceChildren(...articles);
}

function showFigures(status) {
  const number = (value, digits = 0) => (value === null || value === undefined ? "unknown" : Number(value.toFixed(digits)));
  const megabytes = status.resident_memory_bytes === null ? null : status.resident_memory_bytes / 1e6;
  const rows = [
    row("recognised frames a second", number(status.frames_per_second, 1)),
    row("products", number(status.products)),
    row("up for, hours", number(status.uptime_seconds / 3600, 2)),
    row("last screen, seconds ago", number(status.last_present_age_seconds, 2)),
    row("memory, MB", number(megabytes)),
    row("temperature, °C", number(status.temperature_celsius, 1)),
    row("recognition throttled", status.throttle_level === 0 ? "no" : `to 1/${2 ** status.throttle_level}`),
    row("screen", status.screen_dark ? "dark" : "lit"),
  ];
  byId("figures").tBodies[0].replaceChildren(...rows);
  byId("counters").tBodies[0].replaceChildren(
    ...Object.entries(status.counters).map(([name, value]) => row(name.replaceAll("_", " "), value)));
}

function showState(word, reasons) {
  byId("state").textContent = word === "away" ? "the mirror does not answer" : word;
  byId("state").dataset.status = word;
  byId("reasons").hidden = reasons.length === 0;
  byId("reasons").replaceChildren(...reasons.map((reason) => make("li", reason)));
}

function showImport(answer) {
  byId("cannot").hidden = !answer.cannot;
  byId("cannot").textContent = answer.cannot ?? "";
  byId("import").hidden = Boolean(answer.cannot);
  const names = answer.feeds.join("\n");
  // Only where it has changed, or a choice would be lost under the hand.
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
    const words = now.pictures > 0 ? `${now.done} of ${now.pictures} new pictures` : "the feed is read";
    parts.push(make("p", `${now.feed}: ${words}`), bar);
  } else if (now.state === "failed") {
    parts.push(make("p", `${now.feed} was not imported, the catalogue is as before: ${now.fault}`));
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
    ...report.skipped_rows.map((row) => [row.line, `row left out: ${row.reason}`]),
    ...report.skipped_pictures.map((picture) => [picture.line, `picture left out: ${picture.reason}`]),
  ].sort((a, b) => a[0] - b[0]);
  if (skipped.length > 0) {
    const list = make("ul", null, ...skipped.slice(0, 200).map(([line, words]) => make("li", `line ${line}: ${words}`)));
    list.className = "warning scroll";
    parts.push(make("p", `${skipped.length} left out:`), list);
  }
  return [...parts, ...report.warnings.map((warning) => make("p", warning))];
}

async function beginImport(event) {
  event.preventDefault();
  const [file] = byId("file").files;
  const feed = file ? file.name : byId("feed").value;
  byId("begin").disabled = true;
  const answer = await fetch(`import?${new URLSearchParams({ feed })}`, {
    method: "POST", headers: { "x-vetrina": "1" }, body: file ?? null,
  }).then((answer) => answer.json()).catch(() => ({ error: "the mirror does not answer" }));
  if (answer.error) {
    byId("importing").dataset.told = "";
    const words = make("p", answer.error);
    words.className = "warning";
    byId("importing").replaceChildren(words);
    byId("begin").disabled = false;
  }
  // The same file, changed, is chosen anew.
  byId("file").value = "";
}

let logged = 0;

function showLog(lines) {
  const log = byId("log");
  const newest = lines.at(-1)?.number ?? 0;
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

const getJson = (path) => fetch(path).then((answer) => answer.json());

let products = null;
let away = false;

async function refresh() {
  try {
    const answer = await fetch("status.json");
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
    // Another catalogue is being shown.
    if (products !== null && products !== status.products) search();
    products = status.products;
    // A broken stream does not begin again by itself.
    if (away) byId("live").src = `live.mjpg?${Date.now()}`;
    away = false;
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
  const answer = await fetch(`catalogue.json?${new URLSearchParams({ q: words })}`).then((answer) => answer.json())
    .catch(() => ({ error: "the mirror does not answer" }));
  if (asked !== latest) return;
  const products = answer.products ?? [];
  const more = answer.found > products.length ? `, the first ${products.length} are shown` : "";
  byId("found").textContent = answer.error ?? `${answer.found} products${more}`;
  byId("products").tBodies[0].replaceChildren(...products.map((product) =>
    row(product.id, product.title, product.brand, product.price)));
}

byId("search").addEventListener("submit", (event) => { event.preventDefault(); search(); });
byId("import").addEventListener("submit", beginImport);
let typing = 0;
byId("words").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(search, 250); });
refresh();
search();
