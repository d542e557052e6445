// Searches without a page load. Everything here works as plain links and a form without it.

import { arrive, load, reveal, show, showTrouble, typed } from "./pages.js";
import { announce } from "./server.js";

const main = document.getElementById("main");
let current; // the request in flight; a newer one takes its place
let shown = location.search; // the search on the screen
let sent = null; // the picture that was searched by, for its next pages
let timer; // of the next refresh while pictures are being indexed

function isSearch(url) {
  return url.origin === location.origin && url.pathname === "/";
}

/** Search at `url`. push: make it a step that Back returns from. */
async function go(url, { push = true } = {}) {
  current?.abort();
  clearTimeout(timer);
  const request = (current = new AbortController());
  const results = document.getElementById("results");
  const asked = typed();
  results?.setAttribute("aria-busy", "true");
  try {
    const page = await load(url, request.signal);
    if (push && url.href !== location.href) history.pushState(null, "", url);
    shown = url.search;
    sent = null;
    show(page, asked);
    planRefresh();
    arrive(url);
  } catch (error) {
    if (error.name === "AbortError") return;
    results?.removeAttribute("aria-busy");
    showTrouble(error, url, go);
  }
}

/** What `url` asks for, with a picture in place of a description; marks are of the one sent before. */
function formWith(picture, url) {
  const fields = new FormData();
  const left = picture === sent ? ["text", "like"] : ["text", "like", "right", "wrong", "cursor"];
  for (const [name, value] of url.searchParams) if (!left.includes(name)) fields.append(name, value);
  fields.set("picture", picture);
  return fields;
}

/** Search by a picture of one's own. Its address can't be kept: it stays what it was. */
async function goByPicture(picture, url = urlOf(document.getElementById("search"))) {
  current?.abort();
  clearTimeout(timer);
  const most = Number(document.getElementById("by-picture").dataset.maxBytes);
  const results = document.getElementById("results");
  const retry = () => goByPicture(picture, url);
  if (picture.size > most) {
    const mb = (most / 2 ** 20).toLocaleString("en");
    return showTrouble(new Error(`This file is too large: at most ${mb} MB can be searched by.`), null, retry);
  }
  const request = (current = new AbortController());
  results.setAttribute("aria-busy", "true");
  try {
    const page = await load("/", request.signal, formWith(picture, url));
    sent = picture;
    reveal(page);
    show(page);
    planRefresh();
    const asked = document.getElementById("asked");
    if (asked) {
      const preview = document.createElement("img");
      preview.src = URL.createObjectURL(picture);
      preview.alt = `Picture ${picture.name}, the one compared with`;
      preview.onload = () => URL.revokeObjectURL(preview.src);
      asked.prepend(preview);
    }
    scrollTo({ top: 0 });
  } catch (error) {
    results.removeAttribute("aria-busy");
    if (error.name !== "AbortError") showTrouble(error, null, retry);
  }
}

/** Put the next page's pictures below those that are there. */
async function append(url) {
  current?.abort();
  clearTimeout(timer);
  const request = (current = new AbortController());
  const results = document.getElementById("results");
  document.getElementById("trouble")?.remove();
  results.setAttribute("aria-busy", "true");
  try {
    const page = sent
      ? await load("/", request.signal, formWith(sent, url))
      : await load(url, request.signal);
    reveal(page);
    const tiles = [...page.querySelectorAll("#results :is(ol.grid, ol.people) > li")];
    if (!tiles.length) {
      show(page); // it says why
      planRefresh();
      return;
    }
    const grid = results.querySelector("ol.grid, ol.people");
    const noun = grid.matches(".people") ? "people" : "pictures";
    grid.append(...tiles);
    const more = page.querySelector(".more");
    const old = results.querySelector(".more");
    if (more) old.replaceWith(more);
    else old.remove();
    // One moment's ranking is on the screen now: renewing its first page would cut it off.
    delete results.dataset.refreshMs;
    results.querySelector(".notice:has(progress)")?.remove();
    const count = grid.children.length.toLocaleString("en");
    document.getElementById("results-title").textContent = `${count} ${noun}, best match first`;
    tiles[0].querySelector("a").focus();
    announce(`${tiles.length} more, ${count} ${noun} in all`);
  } catch (error) {
    if (error.name !== "AbortError") showTrouble(error, url, append);
  } finally {
    results.removeAttribute("aria-busy");
  }
}

/** While pictures are being indexed, renew the results and leave the form alone. */
async function refresh() {
  const request = (current = new AbortController());
  try {
    const page = await load(location.href, request.signal);
    const old = document.getElementById("results");
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const renewed = page.getElementById("results");
    if (renewed && renewed.innerHTML !== old.innerHTML) {
      old.replaceWith(renewed);
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
      if (!renewed.dataset.refreshMs) announce(renewed.dataset.announce);
    }
  } catch (error) {
    if (error.name === "AbortError") return;
    // The notice stays as it is; the next round may reach the server again.
  }
  planRefresh();
}

function planRefresh() {
  clearTimeout(timer);
  const every = document.getElementById("results")?.dataset.refreshMs;
  if (every) timer = setTimeout(() => (document.hidden ? planRefresh() : refresh()), Number(every));
}

/** The form's search as a URL, without empty fields. A typed text takes the place of `like`. */
function urlOf(form) {
  const fields = new FormData(form);
  const url = new URL(form.action);
  for (const [name, value] of fields) {
    if (value && !(name === "like" && fields.get("text").trim())) url.searchParams.append(name, value);
  }
  return url;
}

function closeMenu(event) {
  for (const menu of document.querySelectorAll(".menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
}

// Not maxlength, which would cut a pasted description without a word.
document.addEventListener("input", (event) => {
  const text = event.target;
  if (text.id !== "text") return;
  const most = Number(text.dataset.max);
  const words = `At most ${most.toLocaleString("en")} characters can be searched; these are ${text.value.length.toLocaleString("en")}.`;
  text.setCustomValidity(text.value.length > most ? words : "");
});

document.addEventListener("submit", (event) => {
  if (event.target.id === "by-picture") {
    event.preventDefault();
    goByPicture(document.getElementById("picture").files[0]);
    return;
  }
  if (event.target.id !== "search") return;
  event.preventDefault();
  go(urlOf(event.target));
});

/** A changed filter searches again, once there is something to search for. */
function apply(form) {
  const url = urlOf(form);
  const asks = ["text", "like", "right"].some((name) => url.searchParams.has(name));
  if (sent) goByPicture(sent);
  else if (asks && url.search !== shown) go(url);
}

document.addEventListener("change", (event) => {
  if (event.target.id === "picture" && event.target.files.length) event.target.form.requestSubmit();
  if (event.target.closest(".menu")) apply(event.target.form);
  if (event.target.id !== "gallery") return;
  const url = new URL("/", location); // the other gallery has other cameras, times and pictures
  url.searchParams.set("gallery", event.target.value);
  const text = document.getElementById("text").value.trim();
  if (text) url.searchParams.set("text", text);
  go(url);
});

// Not on every change: a time is typed part by part.
document.addEventListener("focusout", (event) => {
  const field = event.target;
  if (field.type === "datetime-local" && field.value !== field.defaultValue) apply(field.form);
});

document.addEventListener("keydown", (event) => {
  const text = document.getElementById("text");
  if (event.key === "Enter" && event.target === text && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    text.form.requestSubmit();
  } else if (event.key === " " && event.target.matches("a[role=button]")) {
    event.preventDefault(); // what says that it is a button is pressed like one
    event.target.click();
  } else if (event.key === "Escape" && document.querySelector(".menu[open]")) {
    const menu = document.querySelector(".menu[open]");
    menu.open = false;
    menu.querySelector("summary").focus();
  } else if (event.key === "/" && text && !event.target.closest("input, textarea, select")) {
    event.preventDefault();
    text.focus();
  }
});

document.addEventListener("click", (event) => {
  closeMenu(event);
  const link = event.target.closest?.("a");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const url = new URL(link.href);
  if (!main.contains(link) || !isSearch(url)) return;
  event.preventDefault();
  const again = sent && link.id !== "leave" && !url.searchParams.has("text") && !url.searchParams.has("like");
  if (link.id === "more" && (sent || !new URLSearchParams(shown).has("cursor"))) append(url);
  else if (again) goByPicture(sent, url); // marks, filters: of the same picture
  else go(url);
});

// A picture dropped anywhere on the page is searched by.
document.addEventListener("dragover", (event) => {
  if (document.getElementById("by-picture") && event.dataTransfer?.types.includes("Files")) {
    event.preventDefault();
    document.getElementById("own").open = true;
  }
});
document.addEventListener("drop", (event) => {
  const picture = [...(event.dataTransfer?.files ?? [])].find((file) => file.type.startsWith("image/"));
  if (!picture || !document.getElementById("by-picture")) return;
  event.preventDefault();
  goByPicture(picture);
});

document.addEventListener("focusin", closeMenu);
addEventListener("popstate", () => {
  if (location.search !== shown) go(new URL(location.href), { push: false });
});
planRefresh();
