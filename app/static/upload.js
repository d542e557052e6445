// The upload page: choose files, send them, and show what became of each.

import { count, entries, link, mark, sizeOf, tally, unsent, what, WORDS } from "./files.js";
import { announce, ask, plural, wait } from "./server.js";
import { batchesOf, filesOf, finished, isArchive, lookedAt, pictures, send, sendArchive } from "./sending.js";

const $ = (id) => document.getElementById(id);
const form = $("upload");
const maxBytes = Number(form.dataset.maxBytes);
let sending = false;
let following = false;

function add({ files, skipped }) {
  for (const file of files) {
    const row = document.createElement("tr");
    const [name, size, outcome] = [0, 1, 2].map(() => row.insertCell());
    name.textContent = file.name;
    size.textContent = sizeOf(file.size);
    const entry = { file, row, outcome };
    mark(entry, "waiting");
    if (isArchive(file)) entry.key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    else if (file.size > maxBytes) mark(entry, "refused", `Larger than ${sizeOf(maxBytes)}`);
    entries.push(entry);
    $("rows").append(row);
  }
  if (skipped) say(`${plural(skipped, "file", "files")} in the folder left out: not JPEG, PNG or WebP.`);
  renew();
}

/** Bring buttons, bars and counts up to date. */
function renew(partOfBatch = 0) {
  const left = unsent();
  const failedBefore = left.some((entry) => entry.state === "unsent");
  $("start").disabled = sending || !left.length;
  $("start").textContent = left.length
    ? `${failedBefore ? "Send again" : "Upload"} ${what(left)}`
    : "Upload";
  $("clear").hidden = sending || !entries.length || following;
  const bytes = left.reduce((sum, entry) => sum + entry.file.size, 0);
  $("chosen").textContent = left.length && !sending ? sizeOf(bytes) : "";
  $("outcomes").hidden = !entries.length;
  renewBars(partOfBatch);
}

function renewBars(partOfBatch) {
  const kept = count("accepted", "searchable", "failed");
  const answered = kept + count("duplicate", "refused", "imported");
  const total = entries.length;
  $("sent").value = total ? (answered + partOfBatch * count("sending")) / total : 0;
  $("sent-text").textContent = `${answered.toLocaleString("en")} of ${plural(total, "file", "files")}`;
  $("indexed").value = kept ? count("searchable", "failed") / kept : 0;
  $("indexed-text").textContent =
    `${count("searchable").toLocaleString("en")} of ${kept.toLocaleString("en")}` +
    (count("failed") ? `, ${count("failed").toLocaleString("en")} failed` : "");
  $("tally").textContent = tally();
}

function say(words) {
  $("problem").textContent = words;
  $("problem").hidden = !words;
}

/** The gallery to upload to; made first when it is a new one. */
async function chosenGallery() {
  const existing = $("gallery").value;
  if (existing) return existing;
  const name = $("name").value.trim();
  if (!name) throw new Error("Give the new gallery a name.");
  await ask("/galleries", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ name }),
  });
  $("gallery").prepend(new Option(name, name, true, true));
  $("new-gallery").hidden = true;
  return name;
}

function sharedMetadata() {
  const metadata = {};
  const camera = $("camera").value.trim();
  if (camera) metadata.camera = camera;
  if ($("captured").value) metadata.captured_at = `${$("captured").value}Z`;
  return metadata;
}

/** kind: "images", or "frames" in which people are to be found. */
async function sendBatch(gallery, kind, batch, metadata) {
  for (const entry of batch) mark(entry, "sending");
  renew();
  try {
    const results = await send(gallery, kind, batch.map((entry) => entry.file), metadata, {
      onBytes: renew,
      onRetry: (error, delay_s) => say(`${error.message} Trying again in ${delay_s} s…`),
    });
    say("");
    batch.forEach((entry, place) => settle(Object.assign(entry, { gallery, kind }), results[place]));
  } catch (error) {
    for (const entry of batch) mark(entry, "unsent", "Not sent");
    throw error;
  } finally {
    renew();
  }
}

/** An archive is an import of its own, with a page that follows it. */
async function sendOneArchive(gallery, entry) {
  mark(entry, "sending");
  renew();
  try {
    const job = await sendArchive(gallery, entry.file, entry.key, renew);
    mark(entry, "imported");
    const anchor = document.createElement("a");
    anchor.href = `/upload/imports/${job.id}`;
    anchor.textContent = `Import ${job.id}: follow it`;
    entry.outcome.replaceChildren(anchor);
  } catch (error) {
    mark(entry, error.passing === false ? "refused" : "unsent", error.message);
    throw error;
  } finally {
    renew();
  }
}

function settle(entry, result) {
  if (result.status === "accepted") {
    entry.id = entry.kind === "frames" ? result.frame_id : result.image_id;
    mark(entry, "accepted");
  } else if (result.status === "duplicate" && entry.kind === "frames") {
    mark(entry, "duplicate", `Already there as frame ${result.duplicate_of}`);
  } else if (result.status === "duplicate") {
    mark(entry, "duplicate");
    link(entry, result.duplicate_of, `Already there as picture ${result.duplicate_of}`);
  } else {
    // A full disk is not the file's fault: that one can be sent again.
    const state = result.problem.status >= 500 ? "unsent" : "refused";
    mark(entry, state, result.problem.detail || result.problem.title);
  }
}

async function upload() {
  sending = true;
  say("");
  renew();
  try {
    const gallery = await chosenGallery();
    $("progress").hidden = false;
    $("go").href = `/?gallery=${encodeURIComponent(gallery)}`;
    history.replaceState(null, "", `/upload?gallery=${encodeURIComponent(gallery)}`);
    for (const entry of unsent().filter((each) => each.key)) await sendOneArchive(gallery, entry);
    const kind = $("as-frames")?.checked ? "frames" : "images";
    for (const batch of batchesOf(unsent())) {
      await sendBatch(gallery, kind, batch, sharedMetadata());
      follow();
    }
    announce(`Upload finished: ${tally()}.`);
  } catch (error) {
    say(error.message);
  }
  sending = false;
  $("after").hidden = !count("accepted", "searchable", "duplicate");
  renew();
}

/** Ask how far indexing is, until everything sent is searchable or has failed. */
async function follow() {
  if (following) return;
  following = true;
  let trouble = false;
  while (sending || count("accepted")) {
    await wait(500);
    try {
      const waiting = entries.filter((entry) => entry.state === "accepted");
      for (const gallery of new Set(waiting.map((entry) => entry.gallery))) {
        await settleIndexed(gallery, waiting.filter((entry) => entry.gallery === gallery));
      }
      if (trouble) say("");
      trouble = false;
    } catch (error) {
      trouble = true;
      say(error.message);
    }
    renewBars(0);
  }
  following = false;
  renew();
  announce(`Indexing finished: ${count("searchable")} searchable, ${count("failed")} failed.`);
}

async function settleIndexed(gallery, waiting) {
  const frames = waiting.filter((entry) => entry.kind === "frames");
  if (frames.length) await settleFrames(gallery, frames);
  const byId = new Map(waiting.filter((entry) => entry.kind !== "frames").map((entry) => [entry.id, entry]));
  if (!byId.size) return;
  const done = await finished(gallery, new Set(byId.keys()));
  for (const id of done.searchable) {
    mark(byId.get(id), "searchable");
    link(byId.get(id), id, WORDS.searchable);
  }
  for (const { id, reason } of done.failed) mark(byId.get(id), "failed", reason);
}

/** What was found in frames; the people are pictures of their own, searchable a moment later. */
async function settleFrames(gallery, waiting) {
  const byId = new Map(waiting.map((entry) => [entry.id, entry]));
  for (const { id, state, reason, people } of await lookedAt(gallery, new Set(byId.keys()))) {
    const entry = byId.get(id);
    const failed = state === "failed";
    mark(entry, failed ? "failed" : "searchable", failed ? reason : "Nobody found");
    if (people.length) link(entry, people[0].image_id, `${plural(people.length, "person", "people")} found`);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!sending && unsent().length) upload();
});
$("gallery").addEventListener("change", () => {
  $("new-gallery").hidden = $("gallery").value !== "";
  if (!$("new-gallery").hidden) $("name").focus();
});
$("pick-files").addEventListener("click", () => $("files").click());
$("pick-folder").addEventListener("click", () => $("folder").click());
for (const input of [$("files"), $("folder")]) {
  input.addEventListener("change", () => {
    add(input === $("folder") ? pictures([...input.files]) : { files: [...input.files], skipped: 0 });
    input.value = ""; // so that the same choice again is a change
  });
}
$("clear").addEventListener("click", () => {
  entries.length = 0;
  $("rows").replaceChildren();
  $("progress").hidden = true;
  say("");
  renew();
});
$("only-problems").addEventListener("change", (event) => {
  $("rows").classList.toggle("only-problems", event.target.checked);
});

// A file dropped beside the target must not replace the page.
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.toggle("over", $("drop").contains(event.target));
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("drop").classList.remove("over");
});
addEventListener("drop", async (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  if ($("drop").contains(event.target)) add(await filesOf(event.dataTransfer));
});
addEventListener("beforeunload", (event) => {
  if (sending) event.preventDefault();
});
renew();
