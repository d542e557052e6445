// Why the picture was found: the words of the description tinted, and where the model looked.

import { ask } from "./server.js";

const STRONG = 0.5;
const why = document.getElementById("why");
const said = document.getElementById("why-said");
const toggle = document.getElementById("show-overlay");
const overlay = document.getElementById("overlay");
const image = overlay.querySelector("image");

let whole = "";

why.hidden = false;
try {
  tell(await ask(why.dataset.url));
} catch (error) {
  said.textContent = error.message;
}

function tell(found) {
  document.getElementById("why-words").replaceChildren(...tint(found));
  const place = placeOf(found.grid);
  const where = place && ` In the ${found.box ? "box" : "picture"}: ${place}.`;
  said.textContent = weighed(found.words) + where + missed(found.parts);
  if (!place) return;
  overlay.setAttribute("aria-label", `Where the model looked: most at the ${place}`);
  document.getElementById("overlay-shown").hidden = false;
  whole = found.overlay_url;
  toggle.addEventListener("change", () => show(whole));
  image.addEventListener("error", forget);
  if (toggle.checked) show(whole); // the browser kept it over a reload
}

/** The text as nodes: each word with its weight for the style sheet, within the part that it
 * belongs to, if any. Offsets count code points. */
function tint({ text, words, parts }) {
  const chars = Array.from(text);
  const said = (start, end) => chars.slice(start, end).join("");
  const nodes = [];
  let at = 0;
  for (const part of [...parts, { start: chars.length, end: chars.length }]) {
    nodes.push(...tintWords(words, at, part.start, said));
    if (part.end > part.start) {
      nodes.push(wrap(part, tintWords(words, part.start, part.end, said)));
    }
    at = part.end;
  }
  return nodes;
}

function tintWords(words, from, to, said) {
  const nodes = [];
  let at = from;
  for (const { start, end, weight } of words.filter((word) => word.start >= from && word.end <= to)) {
    const word = document.createElement(weight > STRONG ? "mark" : "span");
    word.textContent = said(start, end);
    word.title = `Weight ${weight.toFixed(2)}`;
    word.style.setProperty("--weight", weight);
    nodes.push(said(at, start), word);
    at = end;
  }
  return [...nodes, said(at, to)];
}

/** A part of the description: under the pointer, or focused, it shows where the model looks for it. */
function wrap(part, nodes) {
  const node = document.createElement("span");
  node.className = part.effect < 0 ? "part missed" : "part";
  node.tabIndex = 0;
  node.append(...nodes);
  for (const kind of ["pointerenter", "focus"]) node.addEventListener(kind, () => look(part));
  for (const kind of ["pointerleave", "blur"]) node.addEventListener(kind, () => look(null));
  return node;
}

function missed(parts) {
  const names = parts.filter((part) => part.effect < 0).map((part) => part.text);
  return names.length ? ` The picture would fit better without: ${names.join("; ")}.` : "";
}

function weighed(words) {
  const strong = words.filter((word) => word.weight > STRONG).sort((a, b) => b.weight - a.weight);
  const names = [...new Set(strong.map((word) => word.word.toLowerCase()))].slice(0, 4);
  return names.length ? `Most weight: ${names.join(", ")}.` : "No word raised the score.";
}

/** Where the highest weight is, in words; nothing where all are 0. */
function placeOf({ rows, columns, values }) {
  const flat = values.flat();
  const highest = flat.indexOf(Math.max(...flat));
  if (!flat[highest]) return "";
  const third = (index, count, names) => names[Math.min(2, Math.floor((3 * (index + 0.5)) / count))];
  const row = third(Math.floor(highest / columns), rows, ["upper", "middle", "lower"]);
  return `${row} ${third(highest % columns, columns, ["left", "centre", "right"])}`;
}

/** The overlay of a part while it is looked at, else that of the whole description. */
function look(part) {
  if (toggle.closest("[hidden]")) return;
  if (part) {
    image.setAttribute("href", part.overlay_url);
    overlay.removeAttribute("hidden");
  } else {
    image.removeAttribute("href");
    show(whole);
  }
}

function show(url) {
  overlay.toggleAttribute("hidden", !toggle.checked);
  if (!toggle.checked || image.hasAttribute("href")) return;
  image.setAttribute("href", url);
}

function forget() {
  image.removeAttribute("href");
  toggle.checked = false;
  overlay.setAttribute("hidden", "");
  said.textContent = "The overlay could not be loaded. Try again.";
}
