"use strict";

function showBoxes(status) {
  const svg = byId("boxes");
  if (!status.picture) return svg.replaceChildren();
  const [width, height] = status.picture;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(...status.garments.flatMap((garment) => {
    const [x1, y1, x2, y2] = garment.box;
    const size = height / 28;
    return [
      part("rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1 }),
      part("text", { x: x1 + size / 3, y: y1 + size * 1.2, "font-size": size }, named("class", garment.label)),
    ];
  }));
}

/** What a product costs now; in a sale also what it cost before. */
const priceOf = ({ price, price_before: before }) => (before ? say("price-before", { price, before }) : price ?? say("no-price"));

function showGarments(garments) {
  const articles = garments.map((garment) => {
    const article = make("article", null, make("h3", say("garment-track", { garment: named("class", garment.label), track: garment.track })));
    if (!garment.matches) {
      article.append(make("p", say("gathered", garment)));
      article.lastChild.className = "hint";
      return article;
    }
    article.append(make("ol", null, ...garment.matches.map((match) =>
      make("li", `${match.title} `, make("span", `${match.id}, ${priceOf(match)}, ${match.score.toFixed(2)}`)))));
    return article;
  });
  if (articles.length === 0) {
    const nobody = make("p", say("nobody"));
    nobody.className = "hint";
    articles.push(nobody);
  }
  byId("garments").replaceChildren(...articles);
}

function showFigures(status) {
  const number = (value, digits = 0) => (value === null || value === undefined ? say("unknown") : Number(value.toFixed(digits)));
  const megabytes = status.resident_memory_bytes === null ? null : status.resident_memory_bytes / 1e6;
  const rows = [
    row(say("figure-rate"), number(status.frames_per_second, 1)),
    row(say("figure-products"), number(status.products)),
    row(say("figure-uptime"), number(status.uptime_seconds / 3600, 2)),
    row(say("figure-drawn"), number(status.last_present_age_seconds, 2)),
    row(say("figure-memory"), number(megabytes)),
    row(say("figure-temperature"), number(status.temperature_celsius, 1)),
    row(say("figure-throttled"),
      status.throttle_level === 0 ? say("not-throttled") : say("throttled-to", { share: 2 ** status.throttle_level })),
    row(say("figure-screen"), status.screen_dark ? say("screen-dark") : say("screen-on")),
  ];
  byId("figures").tBodies[0].replaceChildren(...rows);
  byId("counters").tBodies[0].replaceChildren(
    ...Object.entries(status.counters).map(([name, value]) => row(name.replaceAll("_", " "), value)));
}

function showState(word, reasons) {
  byId("state").textContent = word === "away" ? say("mirror-silent") : say(`state-${word}`);
  byId("state").dataset.status = word;
  byId("reasons").hidden = reasons.length === 0;
  byId("reasons").replaceChildren(...reasons.map((reason) => make("li", fault(reason))));
}

/** A fault, "camera: it is gone", with its kind in the page's language. */
function fault(reason) {
  const [, kind, detail] = /^(\w+): (.*)$/.exec(reason) ?? [];
  return `fault-${kind}` in TEXTS ? say(`fault-${kind}`, { detail: reported(detail) }) : reported(reason);
}

/** How far a file that is being sent is, in percent; null where none is. */
let sending = null;

function showImport(answer) {
  byId("cannot").hidden = !answer.cannot;
  byId("cannot").textContent = reported(answer.cannot ?? "");
  byId("import").hidden = Boolean(answer.cannot);
  byId("past").hidden = Boolean(answer.cannot);
  const names = answer.feeds.join("\n");
  // Only if it has changed, or the selection would be lost.
  if (byId("feed").dataset.names !== names) {
    byId("feed").dataset.names = names;
    byId("feed").replaceChildren(...answer.feeds.map((name) => make("option", name)));
  }
  const now = answer.import;
  const running = now.state === "running";
  byId("begin").disabled = running || sending !== null;
  byId("decision").hidden = sending !== null || !(running || now.state === "previewed");
  byId("apply").hidden = now.state !== "previewed";
  byId("cancel").textContent = now.state === "previewed" ? say("cancel") : say("stop");
  if (sending !== null) return;
  const told = JSON.stringify(now);
  if (byId("importing").dataset.told === told) return;
  byId("importing").dataset.told = told;
  byId("importing").replaceChildren(...importParts(now));
  const refusal = now.state === "previewed" ? now.report.refusal : null;
  byId("removal").hidden = !refusal;
  byId("removals").textContent = refusal ? say("removals", { count: now.report.removed }) : "";
  byId("allow").checked = false;
  byId("apply").disabled = Boolean(refusal);
}

function warn(words) {
  const made = make("p", words);
  made.className = "warning";
  return made;
}

/** What is said of the newest import. */
function importParts(now) {
  if (now.state === "running") {
    const bar = make("progress", null);
    if (now.pictures > 0) [bar.max, bar.value] = [now.pictures, now.done];
    const counted = { feed: now.feed, done: now.done, all: now.pictures };
    const pictures = () => (now.preview ? say("import-read-pictures", counted) : say("import-new-pictures", counted));
    return [make("p", now.pictures > 0 ? pictures() : say("import-reading", counted)), bar];
  }
  switch (now.state) {
    case "failed": return [warn(say("import-failed", { ...now, fault: reported(now.fault) }))];
    case "cancelled": return [make("p", say("import-cancelled", now))];
    case "previewed": return [...changesOf(now.feed, now.report), ...skippedOf(now.report)];
    case "done": return importReport(now.feed, now.report);
    default: return [];
  }
}

const counts = (report) => say("import-counts", report);

/** What an import would change, product by product. */
function changesOf(feed, report) {
  const words = {
    added: (change) => say("change-added", change),
    updated: (change) => say("change-updated", { id: change.id, fields: change.fields.join(", ").replaceAll("_", " ") }),
    removed: (change) => say("change-removed", change),
  };
  const parts = [make("p", say("import-preview", {
    feed, products: report.products, counts: counts(report), pictures: report.pictures_pending,
  }))];
  if (report.refusal) parts.push(warn(reported(report.refusal)));
  if (report.changes.length > 0) {
    const list = make("ul", null, ...report.changes.slice(0, 200).map((change) => {
      const item = make("li", words[change.change](change));
      item.dataset.change = change.change;
      return item;
    }));
    list.className = "scroll";
    parts.push(list);
    const more = report.added + report.updated + report.removed - Math.min(200, report.changes.length);
    if (more > 0) parts.push(make("p", say("more-changes", { count: more })));
  }
  return parts;
}

function importReport(feed, report) {
  return [make("p", say("import-done", { feed, products: report.products, counts: counts(report) })), ...skippedOf(report)];
}

function skippedOf(report) {
  const parts = [];
  const skipped = [
    ...report.skipped_rows.map((row) => [row.line, say("skipped-row", { ...row, reason: reported(row.reason) })]),
    ...report.skipped_pictures.map((picture) => [picture.line, say("skipped-picture", { ...picture, reason: reported(picture.reason) })]),
  ].sort((a, b) => a[0] - b[0]);
  if (skipped.length > 0) {
    const list = make("ul", null, ...skipped.slice(0, 200).map(([, words]) => make("li", words)));
    list.className = "warning scroll";
    parts.push(make("p", say("skipped", { count: skipped.length })), list);
  }
  return [...parts, ...report.warnings.map((warning) => make("p", reported(warning)))];
}

/** Posts as only the page does, and says how much was sent; what the mirror answers, or `{ error }`. */
function post(path, body, what) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", at(path));
    request.setRequestHeader("x-vetrina", "1");
    request.upload.onprogress = (event) => {
      if (!what || !event.lengthComputable) return;
      sending = Math.floor((100 * event.loaded) / event.total);
      byId("importing").dataset.told = "";
      byId("importing").replaceChildren(make("p", say("sending", { file: what, percent: sending })));
    };
    request.onload = () => {
      try {
        resolve(JSON.parse(request.responseText));
      } catch {
        resolve({ error: say("mirror-answers", { status: request.status }) });
      }
    };
    request.onerror = () => resolve({ error: say("mirror-silent") });
    request.send(body ?? null);
  });
}

/** Says what the mirror refused; true where it did. */
function refused(answer) {
  if (!answer.error) return false;
  byId("importing").dataset.told = "";
  byId("importing").replaceChildren(warn(reported(answer.error)));
  return true;
}

async function beginImport(event) {
  event.preventDefault();
  const [file] = byId("file").files;
  const [archive] = byId("pictures").files;
  const feed = file ? file.name : byId("feed").value;
  byId("begin").disabled = true;
  sending = 0;
  const sent = archive ? await post("import/pictures", archive, archive.name) : {};
  if (!refused(sent)) {
    const choice = new URLSearchParams({ feed, preview: true, fetch: byId("fetch").checked });
    for (const name of ["currency", "map"]) {
      const value = byId(name).value.trim();
      if (value !== "") choice.set(name, value);
    }
    refused(await post(`import?${choice}`, file, file?.name));
  }
  sending = null;
  // So that the same file can be chosen again after a change.
  byId("file").value = "";
  byId("pictures").value = "";
}

async function applyImport() {
  byId("decision").hidden = true;
  refused(await post(`import/apply?${new URLSearchParams({ allow_removals: byId("allow").checked })}`));
}

async function cancelImport() {
  byId("decision").hidden = true;
  refused(await post("import/cancel"));
}

async function showHistory() {
  const answer = await getJson("api/history").catch(() => ({}));
  const rows = (answer.generations ?? []).map((one, place) => {
    const back = button(say("bring-back"), () => undo(one.number));
    back.dataset.generation = one.number;
    return row(one.made.replace("T", " ").replace("Z", ""), reported(one.source), one.products, place === 0 ? "" : back);
  });
  byId("history").tBodies[0].replaceChildren(...rows);
}

async function undo(number) {
  byId("history").querySelectorAll("button").forEach((button) => { button.disabled = true; });
  const answer = await post("api/undo", JSON.stringify({ to: number }));
  const made = answer.generation;
  byId("undone").textContent = answer.error ? reported(answer.error)
    : say("brought-back", { count: made.products, source: reported(made.source) });
  showHistory();
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

let shown = null;
let away = false;
let uptime = 0;
let refreshed = Date.now();

let liveView = "full";

/** Says how the picture is shown; where it is not, it is not asked for again. */
function showLiveView(view) {
  if (view === liveView) return;
  liveView = view;
  byId("view").hidden = view === "off";
  byId("live-view").textContent = say(`view-${view}`);
}

/** Asks for the live picture again: a broken stream does not begin again by itself. */
function restartLive() {
  if (liveView === "off") return;
  byId("live").src = at(`live.mjpg?${Date.now()}`);
}

async function refresh() {
  try {
    const status = await getJson("status.json");
    showState(status.status, status.reasons);
    byId("summary").textContent = status.summary;
    byId("camera").textContent = status.camera;
    showLiveView(status.live_view);
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
    if (shown !== null && (restarted || shown !== catalogue)) {
      search();
      showHistory();
    }
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
    .catch((error) => ({ error: error.message }));
  if (asked !== latest) return;
  const products = answer.products ?? [];
  const counted = { count: answer.found, shown: products.length };
  byId("found").textContent = answer.error ??
    (answer.found > products.length ? say("found-first", counted) : say("found", counted));
  byId("products").tBodies[0].replaceChildren(...products.map((product) =>
    row(product.id, product.title, product.brand, priceOf(product))));
}

byId("search").addEventListener("submit", (event) => { event.preventDefault(); search(); });
byId("import").addEventListener("submit", beginImport);
byId("apply").addEventListener("click", applyImport);
byId("cancel").addEventListener("click", cancelImport);
byId("allow").addEventListener("change", () => { byId("apply").disabled = !byId("allow").checked; });
byId("past").addEventListener("toggle", showHistory);
// Too many viewers, or no picture yet.
byId("live").addEventListener("error", () => setTimeout(restartLive, 3000));
let typing = 0;
byId("words").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(search, 250); });
refresh();
search();
