"use strict";
/* Passkeys. A button with data-passkey="prove" or "register" asks data-begin for a challenge, has the browser answer it, and hands the
   answer to data-done, which says where to go. Blocks with data-passkeys show where the browser can, those with data-no-passkeys elsewhere. */
(() => {
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const listed = (credentials) => (credentials || []).map((one) => ({ ...one, id: bytes(one.id) }));

  const post = async (url, body) => {
    const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
    const answer = await fetch(url, {
      method: "POST", credentials: "same-origin", headers: { "content-type": "application/json", "x-csrftoken": token }, body: JSON.stringify(body),
    });
    if (answer.redirected) location.assign(answer.url);
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.detail);
    return said;
  };

  const answered = (credential) => {
    const { response } = credential;
    const told = { clientDataJSON: text(response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) if (response[name]) told[name] = text(response[name]);
    if (response.getTransports) told.transports = response.getTransports();
    return { id: credential.id, rawId: text(credential.rawId), type: credential.type, response: told, clientExtensionResults: credential.getClientExtensionResults() };
  };

  const ceremonies = {
    prove: async (options) => navigator.credentials.get({
      publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: listed(options.allowCredentials) },
    }),
    register: async (options) => navigator.credentials.create({
      publicKey: {
        ...options, challenge: bytes(options.challenge), user: { ...options.user, id: bytes(options.user.id) }, excludeCredentials: listed(options.excludeCredentials),
      },
    }),
  };

  const act = async (button) => {
    const error = button.parentElement.querySelector("[data-passkey-error]");
    error.classList.remove("d-block");
    button.disabled = true;
    try {
      const credential = await ceremonies[button.dataset.passkey](await post(button.dataset.begin, {}));
      const name = button.form && button.form.elements.name ? { name: button.form.elements.name.value } : {};
      const said = await post(button.dataset.done, { ...answered(credential), ...name });
      location.assign(said.next);
    } catch (failure) {
      const gaveUp = failure.name === "NotAllowedError" || failure.name === "AbortError";
      const known = failure.name === "InvalidStateError";
      error.textContent = gaveUp ? "Nothing was chosen, or it took too long. Try again." : known ? "This device holds a passkey of yours already." : failure.message;
      error.classList.add("d-block");
      button.disabled = false;
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    const can = Boolean(window.PublicKeyCredential) && window.isSecureContext;
    for (const block of document.querySelectorAll(can ? "[data-passkeys]" : "[data-no-passkeys]")) block.hidden = false;
    for (const button of document.querySelectorAll("[data-passkey]")) button.addEventListener("click", () => act(button));
  });
})();
