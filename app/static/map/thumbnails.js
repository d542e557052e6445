// Thumbnails for the canvas: only what the last drawing wanted is asked for, a few at a time. Each
// that is looked at goes on record.

const AT_ONCE = 6;
const KEPT = 400;

export class Thumbnails {
  #kept = new Map(); // id -> image, those used last at the end; null where there is none
  #loading = new Set();
  #wanted = new Set();

  /** onload: called after each that arrived. query: of their addresses. */
  constructor(onload, query = "") {
    this.onload = onload;
    this.query = query;
  }

  urlOf(id) {
    return `/images/${id}/thumbnail${this.query}`;
  }

  /** A new drawing begins: what the one before wanted is wanted no more. */
  begin() {
    this.#wanted.clear();
  }

  /** The image if it is there; else it is wanted. */
  get(id) {
    if (this.#kept.has(id)) {
      const image = this.#kept.get(id);
      this.#kept.delete(id);
      this.#kept.set(id, image);
      return image;
    }
    this.#wanted.add(id);
    return null;
  }

  /** Ask for what is wanted, first come, first served. */
  load() {
    for (const id of this.#wanted) {
      if (this.#loading.size >= AT_ONCE) return;
      if (this.#loading.has(id)) continue;
      const image = new Image();
      this.#loading.add(id);
      image.onload = () => this.#arrive(id, image);
      image.onerror = () => this.#arrive(id, null);
      image.src = this.urlOf(id);
    }
  }

  #arrive(id, image) {
    this.#loading.delete(id);
    this.#wanted.delete(id);
    this.#kept.set(id, image);
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value);
    this.onload();
    this.load();
  }
}
