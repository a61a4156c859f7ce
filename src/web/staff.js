"use strict";
// The page for staff: enrol a product by wearing it, and say whether the last answers were right.

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
  byId("chosen").replaceChildren(...chosen.map((one) => {
    const line = make("label", `${one.id} ${one.title}: `);
    const part = make("select");
    part.append(new Option(say("worn-as-catalogue"), ""), ...Object.entries(REGIONS).map(([name, words]) => new Option(words, name)));
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

let searches = 0;

/** Shows the products that the words find; returns them. None where other words were searched for meanwhile. */
async function search() {
  searches += 1;
  const turn = searches;
  const found = await read(`staff/products.json?${new URLSearchParams({ q: byId("words").value })}`);
  if (turn !== searches) return [];
  if (found.error) {
    tell(found.error);
    return [];
  }
  byId("products").tBodies[0].replaceChildren(...found.products.map((product) => {
    const views = product.worn_views ? say("worn-views", { count: product.worn_views }) : say("not-worn");
    return row(product.id, product.title, views, button(say("choose"), () => choose(product)));
  }));
  return found.products;
}

// A hand scanner types the number of the label and Enter: what that alone finds is chosen, and the field waits for the next label.
async function searchAndChoose() {
  const [product, ...others] = await search();
  if (!product || others.length) return;
  if (!chosen.some((one) => one.id === product.id)) choose(product);
  byId("words").select();
}

async function scan() {
  byId("scan").disabled = true;
  const found = await read("staff/scan.json");
  byId("scan").disabled = false;
  if (found.error) return tell(found.error);
  const none = found.codes ? say("scan-foreign") : say("scan-none");
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
  byId("consent").textContent = say("consent");
  const left = { seconds: state.seconds_left };
  const words = { countdown: say("step-back", left), watching: say("turn-round", left), storing: say("one-moment") };
  byId("phase").textContent = words[state.phase] ?? "";
  byId("garments").replaceChildren(...state.garments.map((garment) => {
    const seen = garment.seen ? "" : say("not-seen");
    const place = REGIONS[garment.region] ?? say("region-any");
    return row(garment.title, place, say("good-frames", garment), seen);
  }));
  byId("outcome").textContent = reported(state.words ?? "");
  byId("undo").hidden = state.phase !== "done" || shownNumber === state.number;
  byId("undo").dataset.number = state.number ?? "";
  if (!state.may_change) tell(say("needs-password"));
}

async function judge(answer, judgement, meant) {
  const said = { number: answer.number, judgement, keep: byId("keep").checked };
  if (meant) said.meant = meant;
  await send("staff/judge", said);
  showAnswers();
}

// Also the worn view that the judgement made.
async function takeBack(answer) {
  await send("staff/take-back", { number: answer.number });
  search();
  showAnswers();
}

/** Whether the enrolment is undone. */
async function undo(number) {
  const done = await send("staff/undo", { number });
  if (done.error) return false;
  tell(say("undone", { number }));
  search();
  return true;
}

// What the hub said of each answer: products that other shops sell.
const elsewhere = new Map();
const MOST_SHOPS = 8;

async function askShops(answer) {
  const found = await send("staff/other-shops", { number: answer.number });
  if (found.error) return;
  elsewhere.set(answer.number, found.products);
  showAnswers();
}

function otherShops(answer) {
  const found = elsewhere.get(answer.number);
  if (!found) return [button(say("other-shops"), () => askShops(answer))];
  if (!found.length) return [make("p", say("other-shops-none"))];
  return found.map((product) => {
    const more = product.shops.length > MOST_SHOPS ? ", …" : "";
    return make("p", `${product.id} ${product.title}: ${product.shops.slice(0, MOST_SHOPS).join(", ")}${more}`);
  });
}

// A picture of each answer, loaded once.
let crops = new Map();

function crop(answer) {
  if (!answer.has_crop) return null;
  if (crops.has(answer.number)) return crops.get(answer.number);
  const picture = make("img");
  picture.className = "crop";
  picture.alt = named("class", answer.garment);
  picture.src = at(`staff/crop.jpg?number=${answer.number}`);
  return picture;
}

async function showAnswers() {
  const found = await read("staff/answers.json");
  if (found.error) return;
  const pictures = found.answers.map((answer) => [answer.number, crop(answer)]);
  crops = new Map(pictures.filter(([, picture]) => picture));
  byId("answers").replaceChildren(...found.answers.map((answer) => {
    const other = () => chosen.length === 1 ? judge(answer, "other", chosen[0].id) : tell(say("choose-one"));
    const judged = make("span", answer.judged ? say("thanks") : null, ...(answer.judged ? [
      button(say("take-back"), () => takeBack(answer)),
    ] : [
      button(say("judge-right"), () => judge(answer, "right")),
      button(say("judge-other"), other),
      button(say("judge-none"), () => judge(answer, "not_ours")),
    ]));
    const picture = crops.has(answer.number) ? [crops.get(answer.number)] : [];
    const seen = make("span", `${named("class", answer.garment)}: ${answer.id} ${answer.title}`, ...picture);
    const shops = found.other_shops ? [make("span", null, ...otherShops(answer))] : [];
    return row(say("seconds-ago", { seconds: answer.seconds_ago }), seen, named("verdict", answer.verdict), judged, ...shops);
  }));
}

async function poll() {
  const state = await read("staff/enrol.json");
  if (state.error) tell(state.error); else showState(state);
}

byId("search").addEventListener("submit", (event) => { event.preventDefault(); searchAndChoose(); });
byId("words").addEventListener("input", search);
byId("scan").addEventListener("click", scan);
byId("start").addEventListener("click", () => send("staff/enrol", worn()).then(poll));
byId("agree").addEventListener("click", () => send("staff/agree").then(poll));
byId("refuse").addEventListener("click", () => send("staff/cancel").then(poll));
byId("cancel").addEventListener("click", () => send("staff/cancel").then(poll));
byId("undo").addEventListener("click", async () => {
  const number = Number(byId("undo").dataset.number);
  if (!await undo(number)) return;
  shownNumber = number;
  poll();
});
setInterval(poll, 500);
setInterval(showAnswers, 2000);
poll();
search();
showAnswers();
