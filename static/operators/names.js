// Names for what Django's widgets draw by script, which they leave without one, or with one where none may be.

function name() {
  for (const select of document.querySelectorAll("select.admin-autocomplete")) {
    const label = select.labels[0]?.textContent.replace(/:\s*$/, "").trim() ?? "";
    const drawn = select.nextElementSibling?.querySelectorAll("[role=combobox], [role=textbox]") ?? [];
    for (const part of drawn) {
      part.ariaLabel = `${label} ${part.title}`.trim();
      part.removeAttribute("aria-labelledby");
    }
  }
  for (const icon of document.querySelectorAll(".search-label-icon[aria-label]")) icon.role = "img";
}

// They are drawn some time after the page is there, and again when something is chosen.
new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
name();
