// The pictures on the map, column by column, and the search's hits among them.

const FIRST_HITS = 10;

export class Points {
  constructor(told) {
    this.ids = told.ids;
    this.cameras = told.cameras;
    this.camera = told.camera;
    this.captured = told.captured;
    this.person = told.person;
    this.x = Float32Array.from(told.x);
    this.y = Float32Array.from(told.y);
    this.isFaint = new Uint8Array(told.ids.length); // outside of the filters
    this.at = new Map(told.ids.map((id, index) => [id, index]));
  }

  get length() {
    return this.ids.length;
  }

  /** Let those that the search's filters leave out be faint. after, before: as in the form, UTC. */
  filter({ cameras, after, before }) {
    const seconds = (given, otherwise) => (given ? Date.parse(`${given}Z`) / 1000 : otherwise);
    const [from, until] = [seconds(after, -Infinity), seconds(before, Infinity)];
    const allowed = new Set(cameras.map((name) => this.cameras.indexOf(name)));
    for (let i = 0; i < this.length; i++) {
      const time = this.captured[i];
      const late = (after || before) && (time === null || time < from || time >= until);
      this.isFaint[i] = late || (cameras.length && !allowed.has(this.camera[i])) ? 1 : 0;
    }
  }

  /** The index of the nearest one within so many units of a place of the map; -1 for none. */
  nearest(x, y, reach) {
    let [found, least] = [-1, reach * reach];
    for (let i = 0; i < this.length; i++) {
      const dx = this.x[i] - x;
      if (dx > reach || dx < -reach) continue;
      const dy = this.y[i] - y;
      const square = dx * dx + dy * dy;
      if (square <= least) [found, least] = [i, square];
    }
    return found;
  }

  /** Indices within bounds, nearest to their middle first. */
  within({ left, right, bottom, top }) {
    const found = [];
    for (let i = 0; i < this.length; i++) {
      if (this.x[i] >= left && this.x[i] <= right && this.y[i] >= bottom && this.y[i] <= top) found.push(i);
    }
    const [x, y] = [(left + right) / 2, (bottom + top) / 2];
    const square = (i) => (this.x[i] - x) ** 2 + (this.y[i] - y) ** 2;
    return found.sort((a, b) => square(a) - square(b));
  }

  /** `north gate, 1 May 2026, 08:15`. */
  said(index) {
    const camera = this.cameras[this.camera[index]] ?? "no camera";
    return `${camera}, ${sayTime(this.captured[index])}`;
  }
}

export function sayTime(seconds) {
  if (seconds === null) return "no time";
  const form = { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" };
  return new Date(1000 * seconds).toLocaleString("en-GB", { ...form, timeZone: "UTC" });
}

/** The hits that are on the map, best first: their index, rank and score. */
export function hitsOn(points, links) {
  return links
    .map((link, place) => ({ index: points.at.get(Number(link.dataset.id)), rank: place + 1, score: Number(link.dataset.score), link }))
    .filter((hit) => hit.index !== undefined);
}

/** Where a description is marked: the middle of its first hits, each weighing what its score is above
 * the last one's. Its own vector lies elsewhere than those of pictures. */
export function middleOf(points, hits) {
  const first = hits.slice(0, FIRST_HITS);
  if (!first.length) return null;
  const least = first.at(-1).score;
  let [x, y, total] = [0, 0, 0];
  for (const { index, score } of first) {
    const weight = score - least + 1e-6;
    x += weight * points.x[index];
    y += weight * points.y[index];
    total += weight;
  }
  return { x: x / total, y: y / total };
}
