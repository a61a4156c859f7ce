"use strict";
// What the mirror's pages share.

const byId = (id) => document.getElementById(id);

/** The text of this name in the page's language, with these values in it: `{ $count }`. */
const say = (name, values = {}) => (TEXTS[name] ?? name).replace(/\{ \$(\w+) \}/g, (_, key) => String(values[key] ?? ""));

/** The text of what the mirror names, by its kind: `named("verdict", "likely")`; what it says itself where there is none. */
function named(kind, name, words = name) {
  return TEXTS[`${kind}-${name.replaceAll(" ", kind === "class" ? "_" : "-")}`] ?? words;
}

/** The English reports as patterns, those with the most letters of their own first: [pattern, names of its values, text to show]. */
const PATTERNS = REPORTS.map(([english, text]) => {
  const [first, ...rest] = english.split(/\{ \$(\w+) \}/);
  const own = (letters) => letters.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  // A value ends before a semicolon or colon: behind them the report goes on. One behind a colon may have colons.
  const value = (before) => (before.endsWith(": ") ? "((?:(?!; ).)+?)" : "((?:(?!; |: ).)+?)");
  const inner = rest.map((letters, i) => (i % 2 ? own(letters) : value(i === 0 ? first : rest[i - 1])));
  const length = english.replace(/\{ \$\w+ \}/g, "").length;
  return { pattern: new RegExp(`^${own(first)}${inner.join("")}$`), names: rest.filter((_, i) => i % 2 === 0), text, length };
}).sort((a, b) => b.length - a.length);

/** The values that are reports themselves, or lists of them; all others are names and numbers, which may be like a report by chance. */
const REPORTED = ["reason", "value", "right", "last", "verb", "letters"];
const LISTED = ["views"];

/** What the program reports in English ("what: where; cure") in the page's language, part by part; a part that is not known as it is. */
function reported(words) {
  for (const { pattern, names, text } of PATTERNS) {
    const found = pattern.exec(words);
    if (found) {
      const values = Object.fromEntries(names.map((name, i) => {
        const value = found[i + 1];
        if (LISTED.includes(name)) return [name, value.split(", ").map(reported).join(", ")];
        return [name, REPORTED.includes(name) ? reported(value) : value];
      }));
      return text.replace(/\{ \$(\w+) \}/g, (_, name) => values[name]);
    }
  }
  for (const between of ["; ", ": "]) {
    const at = words.indexOf(between);
    if (at >= 0) return reported(words.slice(0, at)) + between + reported(words.slice(at + between.length));
  }
  return words;
}

const REGIONS = { upper: say("region-upper"), lower: say("region-lower"), dress: say("region-dress") };

/** An address of the mirror. From the origin, since fetch refuses what is relative to an address with a password in it. */
const at = (path) => new URL(path, location.origin + location.pathname);

/** Asks the mirror. Where it does not answer, or answers with an error, that is thrown. */
async function getJson(path, request) {
  const answer = await fetch(at(path), request).catch(() => { throw new Error(say("mirror-silent")); });
  const value = await answer.json();
  if (!answer.ok) throw new Error(reported(value.error ?? answer.statusText));
  return value;
}

/** An element with text and children; text is never parsed as markup. */
function make(name, text, ...children) {
  const element = document.createElement(name);
  if (text !== null && text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

/** A row of a table: texts, numbers and elements. */
function row(...cells) {
  return make("tr", null, ...cells.map((cell) => {
    if (cell instanceof Node) return make("td", null, cell);
    const made = make("td", String(cell ?? ""));
    if (typeof cell === "number") made.className = "number";
    return made;
  }));
}

function button(words, act) {
  const made = make("button", words);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

/** A part of a drawing in SVG. */
function part(name, attributes, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}
