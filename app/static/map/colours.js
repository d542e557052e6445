// What a point looks like: a colour and a shape, so that nobody needs to tell colours alone apart.

import { sayTime } from "./points.js";

// Okabe and Ito's colours, chosen for people who see fewer.
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"];
const SHAPES = ["circle", "square", "triangle", "diamond"];
const NUM_LOOKS = COLOURS.length * SHAPES.length;
// Cividis: as light as it is late, the same for all eyes.
const RAMP = [[0, 34, 78], [53, 69, 108], [102, 105, 112], [148, 142, 119], [200, 184, 102], [254, 232, 56]];
const RAMP_STEPS = 32;
const MOST_NAMES = 12;

export const FAINT = { colour: "#8a8a8a", shape: "circle", isFaint: true };
const UNKNOWN = { colour: "#8a8a8a", shape: "circle" };

/** Each point's look, by what the reader chose; and the legend's lines. */
export function colour(points, by) {
  const { looks, lookOf, legend } = { camera: byCamera, time: byTime, person: byPerson }[by](points);
  const all = [FAINT, UNKNOWN, ...looks];
  const codes = new Uint8Array(points.length);
  for (let i = 0; i < points.length; i++) codes[i] = points.isFaint[i] ? 0 : 1 + lookOf(i) + 1;
  return { looks: all, codes, order: inOrder(codes, all.length), legend };
}

/** Indices sorted by look, the faint ones first: others are drawn over them, and colours change
 * seldom. */
function inOrder(codes, numLooks) {
  const starts = new Uint32Array(numLooks + 1);
  for (const code of codes) starts[code + 1]++;
  for (let code = 0; code < numLooks; code++) starts[code + 1] += starts[code];
  const order = new Uint32Array(codes.length);
  for (let i = 0; i < codes.length; i++) order[starts[codes[i]]++] = i;
  return order;
}

function category(number) {
  const round = Math.floor(number / COLOURS.length);
  return { colour: COLOURS[number % COLOURS.length], shape: SHAPES[(number + round) % SHAPES.length] };
}

const CATEGORIES = Array.from({ length: NUM_LOOKS }, (_, number) => category(number));

function byCamera(points) {
  const names = points.cameras.slice(0, MOST_NAMES).map((name, number) => ({ name, look: category(number) }));
  if (points.cameras.length > MOST_NAMES) names.push({ name: `and ${points.cameras.length - MOST_NAMES} more` });
  if (points.camera.includes(-1)) names.push({ name: "no camera", look: UNKNOWN });
  const lookOf = (i) => (points.camera[i] < 0 ? -1 : points.camera[i] % NUM_LOOKS);
  return { looks: CATEGORIES, lookOf, legend: { names } };
}

function byTime(points) {
  const known = points.captured.filter((time) => time !== null);
  let [first, last] = [Infinity, -Infinity];
  for (const time of known) {
    if (time < first) first = time;
    if (time > last) last = time;
  }
  const step = (time) => Math.min(RAMP_STEPS - 1, Math.floor((RAMP_STEPS * (time - first)) / (last - first || 1)));
  const lookOf = (i) => (points.captured[i] === null ? -1 : step(points.captured[i]));
  const looks = Array.from({ length: RAMP_STEPS }, (_, number) => ({ colour: ramp(number / (RAMP_STEPS - 1)), shape: "circle" }));
  const names = known.length < points.length ? [{ name: "no time", look: UNKNOWN }] : [];
  return { looks, lookOf, legend: { names, ramp: known.length ? [sayTime(first), sayTime(last)] : null } };
}

function ramp(share) {
  const place = share * (RAMP.length - 1);
  const from = Math.min(Math.floor(place), RAMP.length - 2);
  const mixed = RAMP[from].map((low, part) => Math.round(low + (place - from) * (RAMP[from + 1][part] - low)));
  return `rgb(${mixed})`;
}

/** Colours come round: what looks the same and lies together is one person. */
function byPerson(points) {
  const sizes = new Map();
  for (const person of points.person) sizes.set(person, (sizes.get(person) ?? 0) + 1);
  sizes.delete(-1);
  const several = [...sizes.keys()].filter((person) => sizes.get(person) > 1);
  const number = new Map(several.map((person, place) => [person, place % NUM_LOOKS]));
  const people = `${several.length.toLocaleString("en")} people with several pictures: same look, close together`;
  const names = [{ name: people, look: CATEGORIES[0] }, { name: "one picture, or not known", look: UNKNOWN }];
  return { looks: CATEGORIES, lookOf: (i) => number.get(points.person[i]) ?? -1, legend: { names } };
}

/** The outline of a look around a place, to be filled. */
export function trace(context, shape, x, y, r) {
  context.beginPath();
  if (shape === "square") context.rect(x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r);
  else if (shape === "circle") context.arc(x, y, r, 0, 2 * Math.PI);
  else {
    const corners = shape === "diamond" ? [[0, -1.2], [1.2, 0], [0, 1.2], [-1.2, 0]] : [[0, -1.2], [1.15, 0.9], [-1.15, 0.9]];
    corners.forEach(([dx, dy]) => context.lineTo(x + dx * r, y + dy * r));
  }
  context.closePath();
}

/** Put the legend into its place. */
export function showLegend(element, { names, ramp: ends }) {
  const lines = names.map(({ name, look }) => {
    const line = document.createElement("span");
    if (look) line.append(swatch(look));
    line.append(name);
    return line;
  });
  if (ends) lines.unshift(rampLine(ends));
  element.replaceChildren(...lines);
  element.hidden = false;
}

function swatch(look) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 32;
  const context = canvas.getContext("2d");
  context.fillStyle = look.colour;
  trace(context, look.shape, 16, 16, 11);
  context.fill();
  return canvas;
}

function rampLine([first, last]) {
  const line = document.createElement("span");
  const canvas = document.createElement("canvas");
  canvas.className = "ramp";
  [canvas.width, canvas.height] = [RAMP_STEPS, 1];
  const context = canvas.getContext("2d");
  for (let step = 0; step < RAMP_STEPS; step++) {
    context.fillStyle = ramp(step / (RAMP_STEPS - 1));
    context.fillRect(step, 0, 1, 1);
  }
  line.append(first, canvas, last);
  return line;
}
