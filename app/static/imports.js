// The page of one import: its figures as they change, by server-sent events.

import { announce } from "./server.js";

const $ = (id) => document.getElementById(id);
const shown = (number) => number.toLocaleString("en");
const events = new EventSource(`/imports/${$("import").dataset.id}/events`);

function renew(job) {
  const dealtWith = job.accepted + job.duplicate + job.refused;
  if (job.total !== null) $("done").value = job.total ? dealtWith / job.total : 1;
  $("done-text").textContent = shown(dealtWith) + (job.total === null ? "" : ` of ${shown(job.total)}`);
  const state = job.state[0].toUpperCase() + job.state.slice(1);
  if ($("state").textContent !== state) announce(`Import ${job.state}.`);
  $("state").textContent = state;
  $("tally").textContent =
    `${shown(job.accepted)} accepted · ${shown(job.duplicate)} already there · ${shown(job.refused)} refused`;
  $("problem").textContent = job.problem ? job.problem.reason : "";
  $("problem").hidden = !job.problem;
}

events.addEventListener("progress", (event) => renew(JSON.parse(event.data)));
events.addEventListener("end", (event) => {
  events.close();
  renew(JSON.parse(event.data));
  location.reload(); // for its entries, and without what can't be done any more
});
events.addEventListener("lost", () => {
  events.close();
  location.reload();
});
