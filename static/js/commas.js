// A list with commas in one field: what is offered for it goes behind what stands there already.

document.addEventListener("input", ({ target }) => {
  if (!target.matches?.("[data-commas]")) return;
  const before = target.value.slice(0, target.value.lastIndexOf(",") + 1);
  for (const option of target.list?.options ?? []) {
    option.dataset.word ??= option.value;
    option.value = before ? `${before} ${option.dataset.word}` : option.dataset.word;
  }
});
