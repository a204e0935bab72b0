// Offers the browser's time zone to who has never chosen one. The answer, whichever it is, ends the offer. Only one that is
// named after a place can be chosen: not UTC, and not the likes of CET and Etc/GMT-3.

const offer = document.querySelector("[data-zone-offer]");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

if (offer && zone?.includes("/") && !zone.startsWith("Etc/")) {
  offer.querySelector("[data-zone]").textContent = zone.replaceAll("_", " ");
  offer.querySelector("[data-zone-value]").value = zone;
  offer.hidden = false;
}
