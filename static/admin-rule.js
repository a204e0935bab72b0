// The fields that the chosen protocol lacks are put away, and not sent.
const protocol = document.querySelector("#id_protocol[data-columns]");

function follow() {
  const columns = JSON.parse(protocol.dataset.columns)[protocol.value];
  for (const name of ["source", "destination", "port_start", "port_end"]) {
    const row = document.querySelector(`.form-row.field-${name}`);
    const gone = Boolean(columns) && !columns.includes(name);
    row.hidden = gone;
    row.querySelector("input").disabled = gone;
  }
}

if (protocol) {
  protocol.addEventListener("change", follow);
  follow();
}
