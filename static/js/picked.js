// Groups of a file: the box that ticks all, how many are ticked, and that only these raise an alarm.

const boxesOf = (form) => form.querySelectorAll("[name^='take-']");

function count(form) {
  const all = form.querySelector("[data-tick-all]");
  if (!all) return;
  const boxes = boxesOf(form);
  const ticked = [...boxes].filter((box) => box.checked).length;
  all.checked = ticked > 0 && ticked === boxes.length;
  all.indeterminate = ticked > 0 && ticked < boxes.length;
  form.querySelector("[data-ticked-of]").textContent = `${ticked} of ${boxes.length} ticked`;
}

function refresh(form) {
  count(form);
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
  if (!target.form?.querySelector("[data-alarmed]")) return;
  if (target.matches("[data-tick-all]")) for (const box of boxesOf(target.form)) box.checked = target.checked;
  refresh(target.form);
});
addEventListener("pageshow", refreshPicked); // A reload or the back button may bring ticked boxes with it.
