// Groups of a file: only those that are ticked raise an alarm, and the button says whether one of them does.

function refresh(form) {
  const ticked = (name) => form.elements[name]?.checked;
  for (const note of form.querySelectorAll("[data-unless]")) note.hidden = ticked(note.dataset.unless);
  let alarmed = false;
  for (const alarm of form.querySelectorAll("[data-raised-by]")) {
    const raised = alarm.dataset.raisedBy.split(" ").some(ticked);
    alarm.classList.toggle("warning", raised);
    alarm.classList.toggle("info", !raised);
    alarmed ||= raised;
  }
  const button = form.querySelector("[data-alarmed]");
  button.textContent = alarmed ? button.dataset.alarmed : button.dataset.quiet;
  button.classList.toggle("btn-danger", alarmed);
  button.classList.toggle("btn-primary", !alarmed);
}

function refreshPicked() {
  for (const button of document.querySelectorAll("[data-alarmed]")) refresh(button.form);
}

document.addEventListener("change", ({ target }) => {
  if (target.form?.querySelector("[data-alarmed]")) refresh(target.form);
});
addEventListener("pageshow", refreshPicked); // A reload or the back button may bring ticked boxes with it.
