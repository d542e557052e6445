// Which part of the map is on the screen. The map reaches from -1 to 1, upwards; pixels are CSS's.

const MOST_ZOOM = 400;
const MARGIN = 0.92;

export class View {
  x = 0; // of the map, in the middle of the screen
  y = 0;
  zoom = 1;
  width = 1;
  height = 1;

  resize(width, height) {
    this.width = width;
    this.height = height;
  }

  /** Pixels of one unit of the map. */
  get unit() {
    return (this.zoom * MARGIN * Math.min(this.width, this.height)) / 2;
  }

  screenX(x) {
    return this.width / 2 + (x - this.x) * this.unit;
  }

  screenY(y) {
    return this.height / 2 - (y - this.y) * this.unit;
  }

  /** How much of the map is seen, with some pixels more on each side. */
  bounds(more = 0) {
    const dx = (this.width / 2 + more) / this.unit;
    const dy = (this.height / 2 + more) / this.unit;
    return { left: this.x - dx, right: this.x + dx, bottom: this.y - dy, top: this.y + dy };
  }

  /** Zoom; what is at this place of the screen stays there. */
  zoomAt(factor, screenX = this.width / 2, screenY = this.height / 2) {
    const dx = screenX - this.width / 2;
    const dy = this.height / 2 - screenY;
    const [x, y] = [this.x + dx / this.unit, this.y + dy / this.unit];
    this.zoom = Math.min(Math.max(this.zoom * factor, 1), MOST_ZOOM);
    this.moveTo(x - dx / this.unit, y - dy / this.unit);
  }

  /** Move what is seen by pixels. */
  pan(dx, dy) {
    this.moveTo(this.x - dx / this.unit, this.y + dy / this.unit);
  }

  moveTo(x, y) {
    this.x = Math.min(Math.max(x, -1), 1);
    this.y = Math.min(Math.max(y, -1), 1);
  }

  showAll() {
    this.zoom = 1;
    this.moveTo(0, 0);
  }

  /** Move there unless it is seen already. */
  reveal(x, y) {
    const { left, right, bottom, top } = this.bounds(-24);
    if (x < left || x > right || y < bottom || y > top) this.moveTo(x, y);
  }
}
