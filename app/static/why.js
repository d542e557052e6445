// Why the picture was found: the words of the description tinted, and where the model looked.

import { ask } from "./server.js";

const STRONG = 0.5;
const why = document.getElementById("why");
const said = document.getElementById("why-said");
const toggle = document.getElementById("show-overlay");
const overlay = document.getElementById("overlay");
const image = overlay.querySelector("image");

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
  said.textContent = weighed(found.words) + where;
  if (!place) return;
  overlay.setAttribute("aria-label", `Where the model looked: most at the ${place}`);
  document.getElementById("overlay-shown").hidden = false;
  toggle.addEventListener("change", () => show(found.overlay_url));
  if (toggle.checked) show(found.overlay_url); // the browser kept it over a reload
}

/** The text as nodes, each word with its weight for the style sheet. Offsets count code points. */
function tint({ text, words }) {
  const chars = Array.from(text);
  const nodes = [];
  let at = 0;
  for (const { start, end, weight } of words) {
    const word = document.createElement(weight > STRONG ? "mark" : "span");
    word.textContent = chars.slice(start, end).join("");
    word.title = `Weight ${weight.toFixed(2)}`;
    word.style.setProperty("--weight", weight);
    nodes.push(chars.slice(at, start).join(""), word);
    at = end;
  }
  return [...nodes, chars.slice(at).join("")];
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

function show(url) {
  overlay.toggleAttribute("hidden", !toggle.checked);
  if (!toggle.checked || image.hasAttribute("href")) return;
  image.setAttribute("href", url);
  image.addEventListener("error", () => {
    image.removeAttribute("href");
    toggle.checked = false;
    overlay.setAttribute("hidden", "");
    said.textContent = "The overlay could not be loaded. Try again.";
  }, { once: true });
}
