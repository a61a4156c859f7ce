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
    ...Object.entries(status.counters).map(([name, value]) => row(name.replaceAll("_", " "), value)),
  ];
  byId("figures").tBodies[0].replaceChildren(...rows);
}

function showState(word, reasons) {
  byId("state").textContent = word === "away" ? "the mirror does not answer" : word;
  byId("state").dataset.status = word;
  byId("reasons").hidden = reasons.length === 0;
  byId("reasons").replaceChildren(...reasons.map((reason) => make("li", reason)));
}

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
let typing = 0;
byId("words").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(search, 250); });
refresh();
search();
