// A page of the server, put in place of the one on the screen.

import { announce, ServerError, UNREACHABLE, wordsOf } from "./server.js";

const main = document.getElementById("main");

/** The page at `url`, also one that explains an error. form: what is sent there. Throws ServerError
 * when there is none. */
export async function load(url, signal, form) {
  let response, body;
  try {
    const method = form ? "POST" : "GET";
    response = await fetch(url, { method, body: form, headers: { Accept: "text/html" }, signal });
    body = await response.text();
  } catch (error) {
    throw error.name === "AbortError" ? error : new ServerError(UNREACHABLE, 0);
  }
  const page = new DOMParser().parseFromString(body, "text/html");
  if (!page.getElementById("main")) throw new ServerError(wordsOf(body, response.status), response.status);
  return page;
}

/** What stands in the fields that are typed into. */
export function typed() {
  const fields = ["text", "after", "before"].map((id) => document.getElementById(id));
  return Object.fromEntries(fields.filter(Boolean).map((field) => [field.id, field.value]));
}

/** Put the new page in place of this one; the focus and what was typed since `asked` stay. */
export function show(page, asked = {}) {
  const focused = document.activeElement?.id;
  const now = typed();
  const { selectionStart, selectionEnd } = document.getElementById("text") ?? {};
  const open = [...main.querySelectorAll("details[open]")].map((details) => details.id);
  main.replaceChildren(...page.getElementById("main").childNodes);
  const nav = document.querySelector("header nav"); // its links lead to this gallery
  nav.replaceChildren(...page.querySelector("header nav").childNodes);
  document.title = page.title;
  const text = document.getElementById("text");
  for (const [id, value] of Object.entries(now)) {
    const field = document.getElementById(id);
    if (field && value !== asked[id]) field.value = value;
  }
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  const again = document.getElementById(focused) ?? document.getElementById("results");
  again?.focus({ preventScroll: true });
  if (text && again === text) text.setSelectionRange(selectionStart, selectionEnd);
  announce(document.getElementById("results")?.dataset.announce ?? page.title);
}

export function arrive(url) {
  const target = url.hash && document.getElementById(url.hash.slice(1));
  if (!target) return scrollTo({ top: 0 });
  target.scrollIntoView();
  target.querySelector("a")?.focus({ preventScroll: true });
}

/** Show what needs the picture to be sent again, which links can't do by themselves. */
export function reveal(page) {
  for (const element of page.querySelectorAll(".more[hidden], .marks[hidden]")) element.hidden = false;
}

/** There is no new page: say why above what is still on the screen. */
export function showTrouble(error, url, again) {
  document.getElementById("trouble")?.remove();
  const notice = document.createElement("div");
  notice.id = "trouble";
  notice.className = "notice wrong";
  notice.setAttribute("role", "alert");
  const words = document.createElement("p");
  words.textContent = error.message;
  const retry = document.createElement("button");
  retry.type = "button";
  retry.textContent = "Try again";
  retry.addEventListener("click", () => again(url));
  notice.append(words, retry);
  (document.getElementById("results") ?? main).prepend(notice);
}
