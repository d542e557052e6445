// The files that were chosen on the upload page, and what became of each.

import { plural } from "./server.js";

export const entries = []; // {file, state, id, gallery, kind, row, outcome}: one a chosen file

// What each state means is said by these words; the table's colours follow the class.
export const WORDS = {
  waiting: "Waiting",
  sending: "Sending…",
  accepted: "Received, being indexed…",
  searchable: "Searchable",
};

export function sizeOf(bytes) {
  if (bytes < 2 ** 20) return `${Math.ceil(bytes / 2 ** 10)} kB`;
  return `${(bytes / 2 ** 20).toFixed(1)} MB`.replace(".0 ", " ");
}

export function count(...states) {
  return entries.filter((entry) => states.includes(entry.state)).length;
}

export function mark(entry, state, words = WORDS[state]) {
  entry.state = state;
  entry.row.className = state;
  entry.outcome.textContent = words;
}

/** Say what became of a file, with a link to the picture that there is. */
export function link(entry, id, words) {
  const anchor = document.createElement("a");
  anchor.href = `/pictures/${id}`;
  anchor.textContent = words;
  entry.outcome.replaceChildren(anchor);
}

export function unsent() {
  return entries.filter((entry) => entry.state === "waiting" || entry.state === "unsent");
}

export function tally() {
  return [
    [count("accepted", "searchable", "failed"), "accepted"],
    [count("duplicate"), "already there"],
    [count("refused"), "refused"],
    [count("unsent"), "not sent"],
    [count("imported"), "being imported"],
  ]
    .filter(([number]) => number)
    .map(([number, words]) => `${number.toLocaleString("en")} ${words}`)
    .join(" · ");
}

/** "3 pictures", or "2 files" where there is an archive among them. */
export function what(left) {
  return left.some((entry) => entry.key)
    ? plural(left.length, "file", "files")
    : plural(left.length, "picture", "pictures");
}
