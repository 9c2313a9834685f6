"use strict";
/* Behaviour that pages ask for by data attributes; pages hold no script of their own.
   data-copy="#id"            copies that element's text, then says so
   data-theme-toggle          switches between light and dark
   data-confirm="text"        asks before a form is sent or a button acts
   data-type-to-confirm="x"   keeps the form's submit buttons disabled until x is typed into this input
   data-submit-on-change      sends the form when this control changes */
(() => {
  const closest = (event, selector) => (event.target instanceof Element ? event.target.closest(selector) : null);

  document.addEventListener("click", async (event) => {
    const copier = closest(event, "[data-copy]");
    if (copier) {
      const source = document.querySelector(copier.getAttribute("data-copy"));
      const text = "value" in source ? source.value : source.textContent.trim();
      try {
        await navigator.clipboard.writeText(text);
        copier.setAttribute("data-copied", "");
        const before = copier.textContent;
        copier.textContent = "Copied";
        setTimeout(() => { copier.textContent = before; copier.removeAttribute("data-copied"); }, 2000);
      } catch {
        const range = document.createRange();
        range.selectNodeContents(source);
        getSelection().removeAllRanges();
        getSelection().addRange(range);
      }
      return;
    }
    if (closest(event, "[data-theme-toggle]")) {
      const root = document.documentElement;
      const next = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
      root.setAttribute("data-bs-theme", next);
      localStorage.setItem("symbiosis-theme", next);
      return;
    }
    const asked = closest(event, "button[data-confirm], a[data-confirm]");
    if (asked && !confirm(asked.getAttribute("data-confirm"))) event.preventDefault();
  });

  document.addEventListener("submit", (event) => {
    const words = event.target.getAttribute("data-confirm");
    if (words && !confirm(words)) event.preventDefault();
  });

  const lock = (input) => {
    const isRight = input.value.trim() === input.getAttribute("data-type-to-confirm");
    for (const button of input.form.querySelectorAll("[type=submit]")) button.disabled = !isRight;
  };
  document.addEventListener("input", (event) => {
    const input = closest(event, "[data-type-to-confirm]");
    if (input) lock(input);
  });
  document.addEventListener("change", (event) => {
    const control = closest(event, "[data-submit-on-change]");
    if (control) control.form.requestSubmit();
  });
  document.addEventListener("DOMContentLoaded", () => {
    for (const input of document.querySelectorAll("[data-type-to-confirm]")) lock(input);
  });
})();
