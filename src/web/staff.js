"use strict";
// The page for staff: enrol a product by wearing it, and say whether the last answers were right.

const byId = (id) => document.getElementById(id);
// Without the password that an address may hold: no request may be made with that.
const at = (path) => new URL(path, location.origin + location.pathname);
const make = (name, text) => Object.assign(document.createElement(name), { textContent: text ?? "" });
const REGIONS = { upper: "upper garment", lower: "lower garment", dress: "dress" };
let chosen = [];
let shownNumber = null;
let phaseBefore = null;

function tell(words) {
  byId("told").textContent = words ?? "";
  byId("told").hidden = !words;
}

async function read(path) {
  return fetch(at(path)).then((answer) => answer.json()).catch(() => ({ error: "the mirror does not respond" }));
}

async function send(path, body) {
  const answer = await fetch(at(path), { method: "POST", headers: { "x-vetrina": "1" }, body: JSON.stringify(body ?? {}) })
    .then((answer) => answer.json()).catch(() => ({ error: "the mirror does not respond" }));
  tell(answer.error);
  return answer;
}

function button(words, act) {
  const made = make("button", words);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

function showChosen() {
  byId("chosen").replaceChildren(...chosen.map((one) => {
    const line = make("label", `${one.id} ${one.title}: `);
    const part = make("select");
    part.append(new Option("worn as the catalogue says", ""), ...Object.entries(REGIONS).map(([name, words]) => new Option(words, name)));
    part.value = one.part ?? one.region ?? "";
    part.addEventListener("change", () => { one.part = part.value; });
    line.append(part);
    return line;
  }));
  byId("start").disabled = !chosen.length;
}

function choose(product) {
  const known = chosen.some((one) => one.id === product.id);
  chosen = known ? chosen.filter((one) => one.id !== product.id) : [...chosen, product];
  showChosen();
}

// What is worn, and on which part of the body where that was said here.
function worn() {
  const said = chosen.filter((one) => one.part).map((one) => [one.id, one.part]);
  return { products: chosen.map((one) => one.id), regions: Object.fromEntries(said) };
}

async function search() {
  const found = await read(`staff/products.json?${new URLSearchParams({ q: byId("words").value })}`);
  if (found.error) return tell(found.error);
  byId("products").tBodies[0].replaceChildren(...found.products.map((product) => {
    const row = make("tr");
    const views = product.worn_views ? `${product.worn_views} worn views` : "not worn yet";
    row.append(make("td", product.id), make("td", product.title), make("td", views));
    const cell = make("td");
    cell.append(button("choose", () => choose(product)));
    row.append(cell);
    return row;
  }));
}

async function scan() {
  byId("scan").disabled = true;
  const found = await read("staff/scan.json");
  byId("scan").disabled = false;
  if (found.error) return tell(found.error);
  const none = found.codes ? "The code that the camera sees is of no product of this shop." : "The camera sees no QR code: hold it nearer.";
  tell(found.product ? null : none);
  if (found.product && !chosen.some((one) => one.id === found.product.id)) choose(found.product);
}

function showState(state) {
  const is = (...phases) => phases.includes(state.phase);
  byId("asking").hidden = !is("asking");
  byId("watching").hidden = !is("countdown", "watching", "storing");
  byId("choose").hidden = is("asking", "countdown", "watching", "storing");
  byId("ended").hidden = !is("done", "failed");
  if (phaseBefore && phaseBefore !== state.phase && is("done")) {
    chosen = [];
    showChosen();
    search();
  }
  phaseBefore = state.phase;
  byId("consent").textContent = state.consent;
  const words = { countdown: `Step back: ${state.seconds_left}`, watching: `Turn round once: ${state.seconds_left} s at most`, storing: "One moment" };
  byId("phase").textContent = words[state.phase] ?? "";
  byId("garments").replaceChildren(...state.garments.map((garment) => {
    const row = make("tr");
    const seen = garment.seen ? "" : "not in the picture";
    const part = REGIONS[garment.region] ?? "the most prominent garment";
    row.append(make("td", garment.title), make("td", part), make("td", `${garment.good} of ${garment.wanted} good frames`), make("td", seen));
    return row;
  }));
  byId("outcome").textContent = state.words ?? "";
  byId("undo").hidden = state.phase !== "done" || shownNumber === state.number;
  byId("undo").dataset.number = state.number ?? "";
  if (!state.may_change) tell("Set web.password: without one nothing can be enrolled or corrected.");
}

async function judge(answer, judgement, meant) {
  const said = { number: answer.number, judgement, keep: byId("keep").checked };
  if (meant) said.meant = meant;
  await send("staff/judge", said);
  showAnswers();
}

async function showAnswers() {
  const found = await read("staff/answers.json");
  if (found.error) return;
  byId("answers").replaceChildren(...found.answers.map((answer) => {
    const row = make("tr");
    row.append(make("td", `${answer.seconds_ago} s ago`), make("td", answer.garment), make("td", `${answer.id} ${answer.title}`), make("td", answer.verdict));
    const cell = make("td");
    if (answer.judged) {
      cell.textContent = "thank you";
    } else {
      cell.append(
        button("right", () => judge(answer, "right")),
        button("it was what I chose above", () => chosen.length === 1 ? judge(answer, "other", chosen[0].id) : tell("Choose the one product that it was, above.")),
        button("not ours", () => judge(answer, "not_ours")),
      );
    }
    row.append(cell);
    return row;
  }));
}

async function poll() {
  const state = await read("staff/enrol.json");
  if (state.error) tell(state.error); else showState(state);
}

byId("search").addEventListener("submit", (event) => { event.preventDefault(); search(); });
byId("words").addEventListener("input", search);
byId("scan").addEventListener("click", scan);
byId("start").addEventListener("click", () => send("staff/enrol", worn()).then(poll));
byId("agree").addEventListener("click", () => send("staff/agree").then(poll));
byId("refuse").addEventListener("click", () => send("staff/cancel").then(poll));
byId("cancel").addEventListener("click", () => send("staff/cancel").then(poll));
byId("undo").addEventListener("click", async () => {
  const number = Number(byId("undo").dataset.number);
  const done = await send("staff/undo", { number });
  if (!done.error) {
    shownNumber = number;
    tell(`Enrolment ${number} is undone.`);
    poll();
    search();
  }
});
setInterval(poll, 500);
setInterval(showAnswers, 2000);
poll();
search();
showAnswers();
