// Mouse, fingers and keys on the map.

const STILL_PX = 5; // a pointer that moved less was not dragging
const STEP_PX = 60;
const ZOOM_STEP = 1.4;

/** on: changed(), pointAt(x, y), leave(), choose(x, y, isTouch), enter(). */
export function listen(canvas, view, on) {
  const pointers = new Map();
  let moved = 0;
  let spread = 0;

  const placeIn = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { x, y } = placeIn(event);
    const pixels = event.deltaMode ? 30 * event.deltaY : event.deltaY; // lines in some browsers
    view.zoomAt(Math.exp(-0.0015 * pixels), x, y);
    on.changed();
  }, { passive: false });

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    if (!pointers.size) moved = 0;
    pointers.set(event.pointerId, placeIn(event));
    spread = 0;
  });

  canvas.addEventListener("pointermove", (event) => {
    const now = placeIn(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      if (event.pointerType === "mouse") on.pointAt(now.x, now.y);
      return;
    }
    pointers.set(event.pointerId, now);
    moved += Math.hypot(now.x - before.x, now.y - before.y);
    if (moved < STILL_PX) return;
    canvas.classList.add("dragged");
    view.pan((now.x - before.x) / pointers.size, (now.y - before.y) / pointers.size);
    if (pointers.size === 2) pinch();
    on.changed();
  });

  function pinch() {
    const [one, other] = pointers.values();
    const apart = Math.hypot(one.x - other.x, one.y - other.y);
    if (spread) view.zoomAt(apart / spread, (one.x + other.x) / 2, (one.y + other.y) / 2);
    spread = apart;
  }

  const release = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    spread = 0;
    canvas.classList.remove("dragged");
    const { x, y } = placeIn(event);
    if (event.type === "pointerup" && !pointers.size && moved < STILL_PX) on.choose(x, y, event.pointerType === "touch");
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && on.leave());

  const keys = {
    ArrowLeft: () => view.pan(STEP_PX, 0),
    ArrowRight: () => view.pan(-STEP_PX, 0),
    ArrowUp: () => view.pan(0, STEP_PX),
    ArrowDown: () => view.pan(0, -STEP_PX),
    "+": () => view.zoomAt(ZOOM_STEP),
    "=": () => view.zoomAt(ZOOM_STEP),
    "-": () => view.zoomAt(1 / ZOOM_STEP),
    0: () => view.showAll(),
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") on.enter();
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
    on.changed();
  });

  const buttons = { "zoom-in": "+", "zoom-out": "-", "zoom-all": "0" };
  for (const [id, key] of Object.entries(buttons)) {
    document.getElementById(id).addEventListener("click", () => {
      keys[key]();
      on.changed();
    });
  }
}
