// Puts a hit into a case without leaving the results. Without this, the link leads to the same form.

import { announce, ask } from "./server.js";

let link; // what the dialog was opened by

document.addEventListener("click", (event) => {
  const found = event.target.closest?.("a.collect-link");
  if (!found || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  link = found;
  open(found.href);
});

async function open(url) {
  let form;
  try {
    const response = await fetch(url, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    form = page.getElementById("collect-form");
  } catch {
    // The page itself says what is wrong.
  }
  if (!form) return location.assign(url);
  const dialog = document.createElement("dialog");
  dialog.id = "collect";
  dialog.setAttribute("aria-labelledby", "collect-title");
  const title = document.createElement("h2");
  title.id = "collect-title";
  title.textContent = "Add to a case";
  const cancel = document.createElement("button");
  cancel.type = "button";
  cancel.textContent = "Cancel";
  cancel.addEventListener("click", () => dialog.close());
  form.querySelector(".actions").append(cancel);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    add(form, dialog);
  });
  form.elements.name.addEventListener("input", () => (form.elements.case.value = "new"));
  dialog.append(title, form);
  dialog.addEventListener("close", () => {
    dialog.remove();
    document.getElementById(link.id)?.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  (form.querySelector("[type=radio]:checked") ?? form.elements.name).focus();
}

async function add(form, dialog) {
  const problem = form.querySelector("#collect-problem");
  const button = form.querySelector("[type=submit]");
  problem.hidden = true;
  button.disabled = true;
  try {
    const name = await send(form);
    for (const shown of document.querySelectorAll(`a.collect-link[data-image-id="${form.dataset.imageId}"]`)) {
      shown.textContent = "In a case";
    }
    dialog.close();
    announce(`Added to ${name}`);
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
    button.disabled = false;
  }
}

/** Put it into the chosen case, or into a new one; the name of the case. */
async function send(form) {
  const fields = form.elements;
  let [id, name] = [fields.case.value, form.querySelector("[type=radio]:checked + span")?.firstChild.textContent.trim()];
  if (id === "new") {
    name = fields.name.value.trim();
    id = (await post(`/galleries/${encodeURIComponent(form.dataset.gallery)}/cases`, { name })).id;
    keep(form, id, name);
  }
  const reason = fields.reason?.value.trim() || form.dataset.reason || null;
  const found = JSON.parse(form.dataset.found);
  const body = { image_id: Number(form.dataset.imageId), note: fields.note.value, found, reason };
  await post(`/cases/${id}/exhibits`, body);
  return name;
}

/** The case is there now, whatever becomes of the picture: the next try must not make it again. */
function keep(form, id, name) {
  const choice = form.querySelector("[type=radio][value=new]");
  choice.value = id;
  choice.nextElementSibling.textContent = name;
}

function post(url, body) {
  return ask(url, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
}
