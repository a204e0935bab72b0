// Offers the browser's time zone to who has never chosen one. The answer, whichever it is, ends the offer.

const offer = document.querySelector("[data-zone-offer]");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

if (offer && zone && !["UTC", "Etc/UTC"].includes(zone)) {
  offer.querySelector("[data-zone]").textContent = zone.replaceAll("_", " ");
  offer.querySelector("[data-zone-value]").value = zone;
  offer.hidden = false;
}
