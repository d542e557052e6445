// Draws the map: points, or their thumbnails where few are in view, and above them hits and query.

import { trace } from "./colours.js";

const MOST_SHAPES = 3_000; // more points in view are plain discs
const MOST_PICTURES = 60; // in view, to be drawn in place of their points
const LEAST_ZOOM = 3;
const PICTURE_PX = 64; // high
const NUM_BEST = 6; // hits with a thumbnail beside them
const NUM_RANKS = 10;
const BEST_PX = 58;
const WAYS = Array.from({ length: 16 }, (_, step) => (step * Math.PI) / 8);
const FONT = "600 12px system-ui, sans-serif";

/** scene: points, view, style (see colours.js), hits, query, pointed (an index or -1), thumbnails,
 * ratio (device pixels of one of CSS's), theme. Returns how many points are in view. */
export function draw(context, scene) {
  const { view, thumbnails, ratio } = scene;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, view.width, view.height);
  context.font = FONT;
  thumbnails.begin();
  const seen = findSeen(scene);
  const asPictures = seen.length <= MOST_PICTURES && (view.zoom >= LEAST_ZOOM || scene.points.length <= MOST_PICTURES);
  if (seen.length > MOST_SHAPES) drawStamps(context, scene, seen);
  else drawShapes(context, scene, seen);
  if (asPictures) drawPictures(context, scene, seen);
  else markHits(context, scene);
  markPerson(context, scene);
  markQuery(context, scene);
  if (scene.pointed >= 0) ring(context, scene, scene.pointed, 9, scene.theme.ink, 3);
  thumbnails.load();
  return seen.length;
}

/** Indices in view, in the order in which they are drawn. */
function findSeen({ points, view, style }) {
  const { left, right, bottom, top } = view.bounds(8);
  const { x, y } = points;
  const seen = new Uint32Array(points.length);
  let count = 0;
  for (const i of style.order) {
    if (x[i] >= left && x[i] <= right && y[i] >= bottom && y[i] <= top) seen[count++] = i;
  }
  return seen.subarray(0, count);
}

/** Pixel by pixel, without blending: many times faster than to draw each with the canvas. */
function drawStamps(context, { points, view, style, ratio, theme }, seen) {
  const { width, height } = context.canvas;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const radius = Math.round(ratio * (seen.length > 60_000 ? 1 : seen.length > 15_000 ? 1.5 : 2.5));
  const offsets = discOf(radius, width);
  const colours = Uint32Array.from(style.looks, (look) => pack(look.colour, look.isFaint ? theme.surface : null));
  for (const i of seen) {
    const x = Math.round(ratio * view.screenX(points.x[i]));
    const y = Math.round(ratio * view.screenY(points.y[i]));
    if (x < radius || y < radius || x >= width - radius || y >= height - radius) continue;
    const colour = colours[style.codes[i]];
    const middle = y * width + x;
    for (const offset of offsets) pixels[middle + offset] = colour;
  }
  context.putImageData(image, 0, 0);
}

/** Places of a disc's pixels in rows of this width, from its middle on. */
function discOf(radius, width) {
  const offsets = [];
  for (let dy = -radius; dy <= radius; dy++) {
    for (let dx = -radius; dx <= radius; dx++) {
      if (dx * dx + dy * dy <= radius * radius + 1) offsets.push(dy * width + dx);
    }
  }
  return offsets;
}

/** A colour as a pixel; with a ground, most of the way to it. */
function pack(colour, ground) {
  const [red, green, blue] = partsOf(colour).map((part, at) => (ground ? Math.round(0.25 * part + 0.75 * partsOf(ground)[at]) : part));
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** `#0072b2` or `rgb(0,114,178)` as three numbers. */
function partsOf(colour) {
  if (!colour.startsWith("#")) return colour.match(/\d+/g).map(Number);
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

function drawShapes(context, scene, seen) {
  const { points, view, style, ratio } = scene;
  const apart = Math.sqrt((view.width * view.height) / seen.length); // were they spread evenly
  const radius = Math.round(4 * Math.min(4.5, Math.max(2.5, apart / 4))) / 4;
  const sprites = new Map();
  for (const i of seen) {
    const code = style.codes[i];
    let sprite = sprites.get(code);
    if (!sprite) sprites.set(code, (sprite = spriteOf(style.looks[code], radius, ratio, scene.theme)));
    const half = sprite.width / ratio / 2;
    context.drawImage(sprite, view.screenX(points.x[i]) - half, view.screenY(points.y[i]) - half, 2 * half, 2 * half);
  }
}

const spritesKept = new Map();

function spriteOf(look, radius, ratio, theme) {
  const key = [look.colour, look.shape, look.isFaint, radius, ratio, theme.surface].join();
  if (spritesKept.has(key)) return spritesKept.get(key);
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 2 * Math.ceil(ratio * (1.3 * radius + 1));
  const context = canvas.getContext("2d");
  const middle = canvas.width / 2;
  trace(context, look.shape, middle, middle, radius * ratio);
  context.globalAlpha = look.isFaint ? 0.18 : 0.9;
  context.fillStyle = look.colour;
  context.fill();
  if (!look.isFaint) {
    context.lineWidth = 0.75 * ratio;
    context.strokeStyle = theme.outline;
    context.stroke();
  }
  spritesKept.set(key, canvas);
  return canvas;
}

function drawPictures(context, { points, view, thumbnails, theme, hits }, seen) {
  const ranks = new Map(hits.map(({ index, rank }) => [index, rank]));
  for (const i of seen) {
    const image = thumbnails.get(points.ids[i]);
    if (!image) continue;
    const [x, y, rank] = [view.screenX(points.x[i]), view.screenY(points.y[i]), ranks.get(i)];
    framed(context, image, x, y, PICTURE_PX, rank ? theme.accent : theme.edge, rank ? 3 : 1);
    if (rank) label(context, String(rank), x - 14, y - PICTURE_PX / 2 + 4, theme);
  }
}

/** A thumbnail around a place, this high. */
function framed(context, image, x, y, height, colour, line) {
  const width = (height * image.naturalWidth) / image.naturalHeight;
  context.drawImage(image, x - width / 2, y - height / 2, width, height);
  context.strokeStyle = colour;
  context.lineWidth = line;
  context.strokeRect(x - width / 2, y - height / 2, width, height);
}

/** The other pictures of the person that is pointed at. */
function markPerson(context, scene) {
  const { points, pointed, theme } = scene;
  if (!scene.byPerson || pointed < 0 || points.person[pointed] < 0) return;
  for (let i = 0; i < points.length; i++) {
    if (points.person[i] === points.person[pointed]) ring(context, scene, i, 8, theme.accent, 2.5);
  }
}

function ring(context, { points, view, theme }, index, radius, colour, width) {
  context.beginPath();
  context.arc(view.screenX(points.x[index]), view.screenY(points.y[index]), radius, 0, 2 * Math.PI);
  context.lineWidth = width + 2;
  context.strokeStyle = theme.surface;
  context.stroke();
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke();
}

function markHits(context, scene) {
  const { hits, theme } = scene;
  for (const hit of hits.toReversed()) ring(context, scene, hit.index, hit.rank <= NUM_RANKS ? 7 : 5.5, theme.accent, 2);
  const taken = [];
  for (const hit of hits.slice(0, NUM_BEST)) showBest(context, scene, hit, taken);
  for (const hit of hits.slice(NUM_BEST, NUM_RANKS)) {
    const [x, y] = placeOf(scene, hit.index);
    label(context, String(hit.rank), x + 9, y - 9, theme);
  }
}

/** A hit's thumbnail beside it, where there is room. */
function showBest(context, scene, hit, taken) {
  const [x, y] = placeOf(scene, hit.index);
  const { width, height } = scene.view;
  if (x < 0 || y < 0 || x > width || y > height) return;
  const image = scene.thumbnails.get(scene.points.ids[hit.index]);
  const half = { x: 14, y: BEST_PX / 2 + 2 };
  const isFree = ([cx, cy]) =>
    cx > half.x && cy > half.y && cx < width - half.x && cy < height - half.y &&
    taken.every(([ox, oy]) => Math.abs(ox - cx) > 2 * half.x + 4 || Math.abs(oy - cy) > 2 * half.y + 4);
  const places = [56, 84, 112, 150].flatMap((away) => WAYS.map((way) => [x + away * Math.cos(way), y - away * Math.sin(way)]));
  const spot = places.find(isFree);
  if (!spot || !image) return label(context, String(hit.rank), x + 9, y - 9, scene.theme);
  taken.push(spot);
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(...spot);
  context.lineWidth = 1.5;
  context.strokeStyle = scene.theme.accent;
  context.stroke();
  framed(context, image, ...spot, BEST_PX, scene.theme.accent, 1.5);
  label(context, String(hit.rank), spot[0] - 14, spot[1] - half.y + 6, scene.theme);
}

function markQuery(context, { query, view, theme }) {
  if (!query) return;
  const [x, y] = [view.screenX(query.x), view.screenY(query.y)];
  trace(context, "diamond", x, y, 11);
  context.fillStyle = theme.accent;
  context.strokeStyle = theme.surface;
  context.lineWidth = 2.5;
  context.fill();
  context.stroke();
  label(context, "query", x + 13, y + 4, theme);
}

function label(context, words, x, y, theme) {
  const width = context.measureText(words).width;
  context.fillStyle = theme.ink;
  context.fillRect(x - 3, y - 10, width + 6, 14);
  context.fillStyle = theme.surface;
  context.fillText(words, x, y + 1);
}

function placeOf({ points, view }, index) {
  return [view.screenX(points.x[index]), view.screenY(points.y[index])];
}
