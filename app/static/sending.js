// Sends files to a gallery, a few at a time, and follows them until they can be found.

import { ask, ServerError, UNREACHABLE, wait, wordsOf } from "./server.js";

const BATCH_FILES = 20;
const BATCH_BYTES = 24 * 2 ** 20;
const RETRY_AFTER_S = [1, 2, 4, 8];
const LISTED = 200;

/** Runs of at most BATCH_FILES entries and, but for a single large file, BATCH_BYTES. */
export function batchesOf(entries) {
  const batches = [];
  let bytes = Infinity;
  for (const entry of entries) {
    const last = batches.at(-1);
    if (!last || last.length === BATCH_FILES || bytes + entry.file.size > BATCH_BYTES) {
      batches.push([entry]);
      bytes = entry.file.size;
    } else {
      last.push(entry);
      bytes += entry.file.size;
    }
  }
  return batches;
}

/**
 * Upload `files` as "images" or "frames", all with the same metadata; resolves to one result a file,
 * in their order.
 * Sending again after a lost answer is safe: what has arrived is answered as a duplicate.
 */
export async function send(gallery, kind, files, metadata, { onBytes, onRetry }) {
  for (const delay_s of [...RETRY_AFTER_S, null]) {
    try {
      return (await post(gallery, kind, files, metadata, onBytes)).results;
    } catch (error) {
      if (!error.passing || delay_s === null) throw error;
      onRetry(error, delay_s);
      await wait(delay_s * 1000);
    }
  }
}

/** One request. XMLHttpRequest, because fetch can't tell how much has been sent. */
function post(gallery, kind, files, metadata, onBytes) {
  const form = new FormData();
  const names = files.map((file) => file.name.replace(/["\r\n]/g, "_")); // forms can't carry these
  if (Object.keys(metadata).length) {
    form.append("metadata", JSON.stringify(Object.fromEntries(names.map((name) => [name, metadata]))));
  }
  files.forEach((file, place) => form.append("files", file, names[place]));
  return exchange(`/galleries/${encodeURIComponent(gallery)}/${kind}`, form, {}, onBytes);
}

function exchange(url, body, headers, onBytes) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onBytes(event.loaded / event.total);
    request.onerror = () => reject(new ServerError(UNREACHABLE, 0));
    request.onload = () => {
      if (request.status === 202) resolve(JSON.parse(request.responseText));
      else reject(new ServerError(wordsOf(request.responseText, request.status), request.status));
    };
    request.send(body);
  });
}

/** Whether a file goes in as an import of its own, going by its name. */
export function isArchive(file) {
  return /\.(zip|tar|tgz|tar\.gz)$/i.test(file.name);
}

/** Send an archive; resolves to the import. A lost answer is safe: the same key gives the same one. */
export function sendArchive(gallery, file, key, onBytes) {
  const type = /\.zip$/i.test(file.name) ? "zip" : /\.tar$/i.test(file.name) ? "x-tar" : "gzip";
  const url = `/galleries/${encodeURIComponent(gallery)}/imports?file_name=${encodeURIComponent(file.name)}`;
  const headers = { "Content-Type": `application/${type}`, "Idempotency-Key": key };
  return exchange(url, file, headers, onBytes);
}

/**
 * Which of the images `ids` (a Set) are done by now, as {searchable: [id], failed: [{id, reason}]}.
 * Looks at no more than the first LISTED pending ones: the worker takes the oldest first.
 */
export async function finished(gallery, ids) {
  const url = `/galleries/${encodeURIComponent(gallery)}/images`;
  const before = Math.min(...ids) - 1;
  // In this order: what fails between the two questions is seen as failed, not as searchable.
  const pending = await ask(`${url}?state=pending&after_id=${before}&limit=${LISTED}`);
  const reasons = new Map();
  for (let after = before; after !== null; ) {
    const page = await ask(`${url}?state=failed&after_id=${after}&limit=${LISTED}`);
    for (const image of page.images) reasons.set(image.id, image.reason);
    after = page.next_after_id ?? null;
  }
  const waiting = new Set(pending.images.map((image) => image.id));
  const horizon = pending.next_after_id ? Math.max(...waiting) : Infinity;
  const done = [...ids].filter((id) => id <= horizon && !waiting.has(id));
  return {
    searchable: done.filter((id) => !reasons.has(id)),
    failed: done.filter((id) => reasons.has(id)).map((id) => ({ id, reason: reasons.get(id) })),
  };
}

/**
 * Those of the frames `ids` (a Set) that nobody has yet to look at. Each is asked for once: it shows
 * people, so that is on record.
 */
export async function lookedAt(gallery, ids) {
  const url = `/galleries/${encodeURIComponent(gallery)}/frames`;
  const pending = await ask(`${url}?state=pending&after_id=${Math.min(...ids) - 1}&limit=${LISTED}`);
  const waiting = new Set(pending.frames.map((frame) => frame.id));
  const horizon = pending.next_after_id ? Math.max(...waiting) : Infinity;
  const done = [...ids].filter((id) => id <= horizon && !waiting.has(id));
  return Promise.all(done.slice(0, BATCH_FILES).map((id) => ask(`/frames/${id}`)));
}

/** The files of a drop, folders opened; `skipped` counts files in folders that are no pictures. */
export async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return { files: [...transfer.files], skipped: 0 };
  const found = (await Promise.all(entries.map(filesUnder))).flat();
  return pictures(found, new Set(entries.filter((entry) => entry.isFile).map((entry) => entry.name)));
}

/** Those of a folder's files that may be pictures, going by their names; `chosen` are kept anyhow. */
export function pictures(found, chosen = new Set()) {
  const files = found.filter((file) => chosen.has(file.name) || /\.(jpe?g|png|webp)$/i.test(file.name));
  return { files, skipped: found.length - files.length };
}

async function filesUnder(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const files = [];
  for (;;) {
    // Chromium hands out a folder in parts of 100; an empty part is the end.
    const part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!part.length) return files;
    for (const inner of part) files.push(...(await filesUnder(inner)));
  }
}
