// The map's page: fetches the points, draws them, and ties the canvas to the lists beside it.

import { announce, ask, plural } from "../server.js";
import { colour, showLegend } from "./colours.js";
import { draw } from "./draw.js";
import { listen } from "./hands.js";
import { hitsOn, middleOf, Points } from "./points.js";
import { Thumbnails } from "./thumbnails.js";
import { View } from "./view.js";

const REACH_PX = 12;
const DWELL_MS = 120; // a pointer that only passes asks for no thumbnail
const LIST_MS = 150;
const MOST_LISTED = 24;
const DRAWING_MS = 1000;

const $ = (id) => document.getElementById(id);
const map = $("map");

class MapPage {
  constructor(points) {
    this.points = points;
    this.view = new View();
    this.canvas = $("canvas");
    this.context = this.canvas.getContext("2d");
    this.hits = hitsOn(points, [...document.querySelectorAll("#hits a")]);
    this.query = middleOf(points, this.hits);
    this.pointed = -1;
    const { reason } = Object.fromEntries(new URLSearchParams(location.search));
    this.thumbnails = new Thumbnails(() => this.changed(), reason ? `?reason=${encodeURIComponent(reason)}` : "");
  }

  start() {
    const { cameras, after, before } = map.dataset;
    this.points.filter({ cameras: JSON.parse(cameras), after, before });
    $("map-view").hidden = false;
    $("colour-field").hidden = false;
    $("colour").querySelector("[value=person]").disabled = !this.points.person;
    $("colour").addEventListener("change", () => this.paint());
    this.resize();
    this.paint();
    listen(this.canvas, this.view, {
      changed: () => this.moved(),
      pointAt: (x, y) => this.pointAt(x, y),
      leave: () => this.point(-1),
      choose: (x, y, isTouch) => this.choose(x, y, isTouch),
      enter: () => this.pointed >= 0 && this.open(this.pointed),
    });
    this.tieLists();
    new ResizeObserver(() => this.resize()).observe($("map-view"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
    this.list();
  }

  /** Colours anew. */
  paint() {
    const style = getComputedStyle(document.documentElement);
    const [ink, surface, accent, edge, quiet] = ["ink", "surface", "accent", "edge", "quiet"].map((name) => style.getPropertyValue(`--${name}`).trim());
    this.theme = { ink, surface, accent, edge, outline: quiet };
    this.style = colour(this.points, $("colour").value);
    this.byPerson = $("colour").value === "person";
    showLegend($("legend"), this.style.legend);
    this.changed();
  }

  resize() {
    const { clientWidth, clientHeight } = $("map-view");
    this.ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(this.ratio * clientWidth);
    this.canvas.height = Math.round(this.ratio * clientHeight);
    this.view.resize(clientWidth, clientHeight);
    this.changed();
  }

  /** Something looks different: draw with the next frame. */
  changed() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      performance.mark("map-draw");
      this.numSeen = draw(this.context, this);
      performance.measure("map-draw", "map-draw");
      this.placeCard();
    });
  }

  /** Another part of the map is seen. */
  moved() {
    this.changed();
    clearTimeout(this.listing);
    this.listing = setTimeout(() => this.list(), LIST_MS);
  }

  indexAt(x, y) {
    const { view } = this;
    const unit = view.unit;
    return this.points.nearest(view.x + (x - view.width / 2) / unit, view.y - (y - view.height / 2) / unit, REACH_PX / unit);
  }

  pointAt(x, y) {
    this.point(this.indexAt(x, y), { dwell: true });
  }

  /** Show this picture's card; -1 for none. */
  point(index, { dwell = false, isTouch = false } = {}) {
    if (index === this.pointed && !isTouch) return;
    this.pointed = index;
    clearTimeout(this.dwelling);
    this.canvas.classList.toggle("on-picture", index >= 0);
    $("map-card").hidden = true;
    if (index >= 0) this.dwelling = setTimeout(() => this.showCard(isTouch), dwell ? DWELL_MS : 0);
    this.changed();
  }

  showCard(isTouch) {
    const id = this.points.ids[this.pointed];
    const hit = this.hits.find(({ index }) => index === this.pointed);
    const card = $("map-card");
    card.href = this.addressOf(this.pointed);
    card.classList.toggle("touched", isTouch);
    $("map-card-image").src = this.thumbnails.urlOf(id);
    $("map-card-said").textContent = `${hit ? `Rank ${hit.rank}, ` : ""}${this.points.said(this.pointed)}${isTouch ? ". Tap to open" : ""}`;
    card.hidden = false;
    this.placeCard();
  }

  /** Beside its point, within the map. */
  placeCard() {
    const card = $("map-card");
    if (card.hidden || this.pointed < 0) return;
    const { view, points } = this;
    const [x, y] = [view.screenX(points.x[this.pointed]), view.screenY(points.y[this.pointed])];
    const left = x + 16 + card.offsetWidth > view.width ? x - 16 - card.offsetWidth : x + 16;
    const top = Math.min(Math.max(y - card.offsetHeight / 2, 4), view.height - card.offsetHeight - 4);
    card.style.transform = `translate(${Math.round(Math.max(left, 4))}px, ${Math.round(top)}px)`;
  }

  choose(x, y, isTouch) {
    const index = this.indexAt(x, y);
    if (isTouch) this.point(index, { isTouch });
    else if (index >= 0) this.open(index);
  }

  addressOf(index) {
    return `/pictures/${this.points.ids[index]}?from=${map.dataset.from}`;
  }

  open(index) {
    location.assign(this.addressOf(index));
  }

  /** What has the focus or the pointer in a list is shown on the map. */
  tieLists() {
    const indexOf = (event) => {
      const link = event.target.closest?.("a[data-id]");
      return link ? (this.points.at.get(Number(link.dataset.id)) ?? -1) : -1;
    };
    for (const list of document.querySelectorAll(".map-hits")) {
      list.addEventListener("focusin", (event) => this.look(indexOf(event)));
      list.addEventListener("focusout", () => this.point(-1));
      list.addEventListener("pointerover", (event) => this.point(indexOf(event), { dwell: true }));
      list.addEventListener("pointerleave", () => this.point(-1));
    }
  }

  /** Point at a picture, wherever it is. */
  look(index) {
    if (index >= 0) this.view.reveal(this.points.x[index], this.points.y[index]);
    this.point(index);
    this.moved();
  }

  /** The pictures in view as links, for who can't see the canvas. */
  list() {
    const list = $("in-view-list");
    if (list.contains(document.activeElement)) return;
    const seen = this.points.within(this.view.bounds());
    $("in-view-title").textContent = `In view: ${seen.length.toLocaleString("en")} of ${plural(this.points.length, "picture", "pictures")}`;
    list.replaceChildren(...seen.slice(0, MOST_LISTED).map((index) => this.lineOf(index)));
    $("in-view").hidden = false;
  }

  lineOf(index) {
    const line = document.createElement("li");
    const link = document.createElement("a");
    link.href = this.addressOf(index);
    link.dataset.id = this.points.ids[index];
    link.textContent = `Picture ${this.points.ids[index]}: ${this.points.said(index)}`;
    line.append(link);
    return line;
  }
}

async function open() {
  try {
    const page = new MapPage(new Points(await ask(map.dataset.url)));
    page.start();
    announce(`The map shows ${plural(page.points.length, "picture", "pictures")}.`);
  } catch (error) {
    $("map-problem").textContent = error.message;
    $("map-problem").hidden = false;
  }
}

/** While a map is drawn: how far it is, and in the end the page anew. */
async function follow(drawing) {
  try {
    const { state, progress } = await ask(drawing.dataset.url);
    if (!["waiting", "running"].includes(state)) return location.reload();
    $("drawing-progress").value = progress;
    $("drawing-said").textContent = state === "waiting" ? "Waiting for a worker" : `Drawing the map: ${Math.round(100 * progress)} %`;
  } catch {
    // An outage: the next look may reach the server again.
  }
  setTimeout(() => follow(drawing), DRAWING_MS);
}

if (map) open();
if ($("drawing")) follow($("drawing"));
$("gallery")?.addEventListener("change", (event) => {
  location.assign(`/map?gallery=${encodeURIComponent(event.target.value)}`);
});
$("text")?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});
