// Ticked rows: the box that ticks all, and how many are ticked.

const BOXES = "tbody input[type=checkbox]";
// The boxes of a form may stand outside of it.
const boxesOf = (form) => [...form.elements].filter((one) => one.matches(BOXES));

export function refreshSelection() {
  for (const all of document.querySelectorAll("[data-select-all]")) {
    const boxes = boxesOf(all.form);
    const count = boxes.filter((box) => box.checked).length;
    all.checked = count > 0 && count === boxes.length;
    all.indeterminate = count > 0 && count < boxes.length;
    for (const words of all.form.querySelectorAll("[data-selected-count]"))
      words.textContent = `${count} ${words.dataset.selectedCount}`;
  }
}

document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-select-all]")) for (const box of boxesOf(target.form)) box.checked = target.checked;
  if (target.matches(".bulk input[type=checkbox]")) refreshSelection();
});
refreshSelection(); // A reload or the back button may bring ticked boxes with it.
