// A button that cannot be used now stays reachable (aria-disabled), but does nothing. htmx listens on the element itself,
// so the click must be stopped before it reaches it.

document.addEventListener(
  "click",
  (event) => {
    if (event.target.closest('[aria-disabled="true"]')) {
      event.preventDefault();
      event.stopPropagation();
    }
  },
  { capture: true },
);
