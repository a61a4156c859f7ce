"use strict";

const WIDTH = 900;
const HEIGHT = 180;
const BELOW = 20;

/** A round number that is no smaller: 1, 2 or 5 with zeros. */
function above(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
}

/**
 * Bars, one for each of `bars`: { label, values }, the values stacked in the order of `kinds`. Labels where there is room. A table of
 * the same numbers is read to those who do not see it.
 */
function chart(place, bars, kinds) {
  const most = above(Math.max(1, ...bars.map((bar) => bar.values.reduce((sum, value) => sum + value, 0))));
  const svg = part("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + BELOW}`, role: "img" });
  const names = { people: say("count-people"), matched: say("matched"), refused: say("refused") };
  const sums = kinds.map((kind, k) => `${names[kind]} ${bars.reduce((sum, bar) => sum + bar.values[k], 0)}`);
  svg.append(part("title", {}, say("chart-range", { from: bars[0]?.label, to: bars.at(-1)?.label, sums: sums.join(", ") })));
  for (const share of [0, 0.5, 1]) {
    const y = HEIGHT * (1 - share);
    svg.append(part("line", { x1: 30, x2: WIDTH, y1: y, y2: y }));
    if (most * share === Math.round(most * share)) svg.append(part("text", { x: 0, y: y + 4 }, most * share));
  }
  const step = (WIDTH - 34) / Math.max(1, bars.length);
  const each = Math.ceil(60 / step);
  bars.forEach((bar, index) => {
    const x = 34 + index * step;
    let y = HEIGHT;
    bar.values.forEach((value, k) => {
      const height = HEIGHT * value / most;
      y -= height;
      if (value === 0) return;
      const rect = part("rect", { x: x + step * .08, y, width: step * .84, height, class: kinds[k] });
      rect.append(part("title", {}, say("chart-bar", { label: bar.label, value, kind: names[kinds[k]] })));
      svg.append(rect);
    });
    if (index % each === 0) svg.append(part("text", { x, y: HEIGHT + 15 }, bar.label));
  });
  byId(place).replaceChildren(svg);
}

const HOUR = 3600e3;
const twoDigits = (number) => String(number).padStart(2, "0");

/** Every hour or day of the range, the empty ones included: [label, the hours' counts]. */
function spans(hours, days) {
  const byTime = new Map(hours.map((hour) => [Date.parse(hour.hour), hour]));
  const end = Math.floor(Date.now() / HOUR) * HOUR;
  const all = [];
  for (let time = end - (days * 24 - 1) * HOUR; time <= end; time += HOUR) {
    const date = new Date(time);
    const label = days <= 2 ? `${twoDigits(date.getHours())}:00` : `${date.getDate()}.${date.getMonth() + 1}.`;
    if (days > 2 && all.at(-1)?.label === label) all.at(-1).hours.push(byTime.get(time));
    else all.push({ label, hours: [byTime.get(time)] });
  }
  return all.map(({ label, hours }) => ({ label, hours: hours.filter(Boolean) }));
}

const sum = (hours, name) => hours.reduce((total, hour) => total + hour[name], 0);

function show(counts) {
  const { hours, products, days, confirmed } = counts;
  const left = sum(hours, "people");
  const dwell = left > 0 ? sum(hours, "dwell_seconds") / left : 0;
  const totals = [
    [say("count-people"), left], [say("count-dwell"), Math.round(dwell)], [say("count-matched"), sum(hours, "matched")],
    [say("refused"), sum(hours, "refused")], [say("count-shown"), sum(hours, "shown")],
    [say("count-calls"), sum(hours, "staff_calls")],
  ];
  byId("totals").replaceChildren(...totals.map(([name, value]) =>
    make("div", null, make("dt", name), make("dd", String(value)))));
  const bars = spans(hours, days);
  chart("people", bars.map((bar) => ({ label: bar.label, values: [sum(bar.hours, "people")] })), ["people"]);
  chart("garments", bars.map((bar) =>
    ({ label: bar.label, values: [sum(bar.hours, "matched"), sum(bar.hours, "refused")] })), ["matched", "refused"]);
  const ofDay = Array.from({ length: 24 }, (_, hour) => hour);
  chart("day", ofDay.map((of) => {
    const those = hours.filter((hour) => new Date(hour.hour).getHours() === of);
    return { label: `${twoDigits(of)}:00`, values: [sum(those, "people")] };
  }), ["people"]);
  byId("products").tBodies[0].replaceChildren(...products.slice(0, 200).map((one) =>
    row(one.product, one.title, one.shown, one.matched)));
  byId("confirmed").tBodies[0].replaceChildren(...confirmed.map((week) => {
    const region = REGIONS[week.region] ?? say("region-any");
    return row(week.week, region, week.answers, week.right, week.precision.toFixed(2), `${week.likely_right}/${week.likely}`);
  }));
  byId("confirmed").hidden = confirmed.length === 0;
  byId("unconfirmed").hidden = confirmed.length > 0;
  byId("said").textContent = say("kept-for", { days: counts.kept_days });
}

async function refresh() {
  const days = byId("days").value;
  byId("hours-csv").href = at(`api/stats?format=csv&days=${days}`);
  byId("products-csv").href = at(`api/stats?format=csv&by=product&days=${days}`);
  byId("confirmed-csv").href = at(`api/stats?format=csv&by=week&days=${days}`);
  try {
    show(await getJson(`api/stats?days=${days}`));
  } catch (error) {
    byId("said").textContent = error.message;
  }
  try {
    const audit = await getJson("audit.json");
    byId("audited").textContent = audit.broken.length === 0 ? say("audit-whole", { count: audit.entries.length })
      : say("audit-broken", { lines: audit.broken.join(", ") });
    byId("audit").tBodies[0].replaceChildren(...audit.entries.map((one) =>
      row(new Date(one.time).toLocaleString(LANGUAGE), named("who", one.who), one.from, named("audit", one.action, one.words), one.detail)));
  } catch (error) {
    byId("audited").textContent = error.message;
  }
}

byId("days").addEventListener("change", refresh);
refresh();
setInterval(refresh, 60000);
