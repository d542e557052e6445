// The page of one case, without loading it anew for each step. Its forms work without this.

import { announce, UNREACHABLE } from "./server.js";

const main = document.getElementById("main");
let dragged; // the exhibit that is on its way

/** Send a form and show the page that answers; the focus, and notes that are not saved, stay. */
async function send(url, fields, said) {
  let page, response;
  try {
    response = await fetch(url, { method: "POST", body: new URLSearchParams(fields), headers: { Accept: "text/html" } });
    page = new DOMParser().parseFromString(await response.text(), "text/html");
  } catch {
    return announceTrouble(UNREACHABLE);
  }
  const next = page.getElementById("main");
  if (!page.getElementById("exhibits")) {
    if (response.ok && next && !response.url.includes("/login")) return location.assign(response.url);
    const said = (page.querySelector("[role=alert]") ?? page.querySelector("h1"))?.textContent ?? `${response.status}`;
    return announceTrouble(`${said.trim().replace(/\.$/, "")}. Nothing was changed; what you wrote is still here.`, true);
  }
  show(page, next, fields);
  announce(page.querySelector("[role=alert]") ? page.querySelector("[role=alert]").textContent : said);
}

function show(page, next, sent) {
  const focused = document.activeElement?.id;
  const unsaved = [...main.querySelectorAll(".noting textarea")].filter(
    (field) => field.value !== field.defaultValue && !(sent.do === "note" && sent.note === field.value)
  );
  const versions = unsaved.map((field) => field.form.elements.version.value);
  main.replaceChildren(...next.childNodes);
  document.title = page.title;
  unsaved.forEach((old, index) => {
    const field = document.getElementById(old.id);
    if (!field) return;
    field.value = old.value;
    field.form.elements.version.value = versions[index]; // what was seen when it was written
  });
  const again = document.getElementById(focused);
  (again?.disabled ? again.form.querySelector("button:enabled") : again)?.focus({ preventScroll: true });
  showGrips();
}

/** isElsewhere: the same page in another tab says what has to be done first. */
function announceTrouble(words, isElsewhere = false) {
  document.getElementById("trouble")?.remove();
  const notice = document.createElement("p");
  notice.id = "trouble";
  notice.className = "notice wrong";
  notice.setAttribute("role", "alert");
  notice.textContent = words;
  if (isElsewhere) {
    const link = document.createElement("a");
    Object.assign(link, { href: location.pathname, target: "_blank", textContent: "Look in another tab" });
    notice.append(" ", link, ", then try again.");
  }
  main.prepend(notice);
}

function showGrips() {
  for (const grip of main.querySelectorAll(".grip")) grip.hidden = false;
}

document.addEventListener("submit", (event) => {
  const step = event.submitter?.value;
  const words = { note: "Note saved", up: "Moved up", down: "Moved down", remove: "Removed" }[step];
  if (!words || !event.target.closest("#exhibits")) return;
  event.preventDefault();
  send(event.target.action, { ...Object.fromEntries(new FormData(event.target)), do: step }, words);
});

document.addEventListener("dragstart", (event) => {
  if (!event.target.matches?.(".grip")) return;
  dragged = event.target.closest("li");
  dragged.classList.add("dragged");
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", dragged.id);
  event.dataTransfer.setDragImage(dragged, 20, 20);
});

document.addEventListener("dragover", (event) => {
  const over = dragged && event.target.closest?.("#exhibits > li");
  main.querySelector(".over")?.classList.remove("over");
  if (!over) return;
  event.preventDefault();
  if (over !== dragged) over.classList.add("over");
});

document.addEventListener("drop", (event) => {
  const over = dragged && event.target.closest?.("#exhibits > li");
  if (!over || over === dragged) return;
  event.preventDefault();
  const place = over.dataset.place;
  send(dragged.dataset.action, { do: "place", place }, `Moved to number ${place}`);
});

document.addEventListener("dragend", () => {
  for (const name of ["dragged", "over"]) main.querySelector(`.${name}`)?.classList.remove(name);
  dragged = undefined;
});

addEventListener("beforeunload", (event) => {
  const isUnsaved = [...main.querySelectorAll(".noting textarea")].some((field) => field.value !== field.defaultValue);
  if (isUnsaved) event.preventDefault();
});
showGrips();
