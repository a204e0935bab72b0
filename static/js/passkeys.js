// Forms that a passkey fills in: data-passkey says whether one is made ("create") or used ("get"), data-passkey-options
// holds what the server asks for as JSON, or the address that says it.

import { showError } from "./voice.js";

const OLD = "This browser cannot use passkeys. Sign in another way, or use a newer browser.";
const FAILED = "No passkey was used. Try again, or sign in another way.";

async function optionsOf(form) {
  const given = form.dataset.passkeyOptions;
  if (given.startsWith("{")) return JSON.parse(given).publicKey;
  const answer = await fetch(given, { headers: { Accept: "application/json" } });
  return (await answer.json()).request_options.publicKey;
}

async function credentialFor(form) {
  const options = await optionsOf(form);
  if (form.dataset.passkey === "create") {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    return navigator.credentials.create({ publicKey });
  }
  return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
}

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-passkey]");
  if (!form) return;
  event.preventDefault();
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
    showError(OLD);
    return;
  }
  try {
    form.elements.credential.value = JSON.stringify(await credentialFor(form));
    form.submit();
  } catch {
    // Whoever closes the browser's question has changed their mind; why it failed is the device's secret.
    showError(FAILED);
  }
});
