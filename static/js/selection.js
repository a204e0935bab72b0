// Ticked rows: the box that ticks all, and how many are ticked.

const BOXES = "tbody input[type=checkbox]";

export function refreshSelection() {
  for (const all of document.querySelectorAll("[data-select-all]")) {
    const boxes = [...all.form.querySelectorAll(BOXES)];
    const count = boxes.filter((box) => box.checked).length;
    all.checked = count > 0 && count === boxes.length;
    all.indeterminate = count > 0 && count < boxes.length;
    for (const words of all.form.querySelectorAll("[data-selected-count]")) words.textContent = `${count} selected`;
  }
}

document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-select-all]"))
    for (const box of target.form.querySelectorAll(BOXES)) box.checked = target.checked;
  if (target.matches(".bulk input[type=checkbox]")) refreshSelection();
});
refreshSelection(); // A reload or the back button may bring ticked boxes with it.
