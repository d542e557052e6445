// Deleting a picture, after asking.

import { ask } from "./server.js";

const open = document.getElementById("delete");
const dialog = document.getElementById("confirm");
const confirm = document.getElementById("delete-now");
const problem = document.getElementById("delete-problem");

if (open) {
  open.hidden = false;
  open.addEventListener("click", () => dialog.showModal());
  confirm.addEventListener("click", remove);
}

async function remove() {
  confirm.disabled = true;
  problem.hidden = true;
  try {
    await ask(confirm.dataset.url, { method: "DELETE" });
    location.assign(confirm.dataset.then);
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
    confirm.disabled = false;
  }
}
