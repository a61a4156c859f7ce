"use strict";
// The page for staff: enrol a product by wearing it, and say whether the last answers were right.

const REGIONS = { upper: "upper garment", lower: "lower garment", dress: "dress" };
let chosen = [];
let shownNumber = null;
let phaseBefore = null;

function tell(words) {
  byId("told").textContent = words ?? "";
  byId("told").hidden = !words;
}

/** The mirror's answer, or its `error`. */
const read = (path, request) => getJson(path, request).catch((error) => ({ error: error.message }));

async function send(path, body) {
  const answer = await read(path, { method: "POST", headers: { "x-vetrina": "1" }, body: JSON.stringify(body ?? {}) });
  tell(answer.error);
  return answer;
}

function showChosen() {
  byId("chosen").textContent = chosen.length ? `Chosen: ${chosen.map((one) => `${one.id} ${one.title}`).join(", ")}` : "";
  byId("start").disabled = !chosen.length;
}

function choose(product) {
  const known = chosen.some((one) => one.id === product.id);
  chosen = known ? chosen.filter((one) => one.id !== product.id) : [...chosen, product];
  showChosen();
}

async function search() {
  const found = await read(`staff/products.json?${new URLSearchParams({ q: byId("words").value })}`);
  if (found.error) return tell(found.error);
  byId("products").tBodies[0].replaceChildren(...found.products.map((product) => {
    const views = product.worn_views ? `${product.worn_views} worn views` : "not worn yet";
    return row(product.id, product.title, views, button("choose", () => choose(product)));
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
    const seen = garment.seen ? "" : "not in the picture";
    const place = REGIONS[garment.region] ?? "the most prominent garment";
    return row(garment.title, place, `${garment.good} of ${garment.wanted} good frames`, seen);
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
    const other = () => chosen.length === 1 ? judge(answer, "other", chosen[0].id) : tell("Choose the one product that it was, above.");
    const say = make("span", answer.judged ? "thank you" : null, ...(answer.judged ? [] : [
      button("right", () => judge(answer, "right")),
      button("it was what I chose above", other),
      button("not ours", () => judge(answer, "not_ours")),
    ]));
    return row(`${answer.seconds_ago} s ago`, answer.garment, `${answer.id} ${answer.title}`, answer.verdict, say);
  }));
}

async function poll() {
  const state = await read("staff/enrol.json");
  if (state.error) tell(state.error); else showState(state);
}

byId("search").addEventListener("submit", (event) => { event.preventDefault(); search(); });
byId("words").addEventListener("input", search);
byId("scan").addEventListener("click", scan);
byId("start").addEventListener("click", () => send("staff/enrol", { products: chosen.map((one) => one.id) }).then(poll));
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
