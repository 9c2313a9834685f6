"use strict";
/* Sets light or dark before the first paint: what was chosen here, else what the system prefers. */
(() => {
  const chosen = localStorage.getItem("symbiosis-theme");
  const preferred = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.setAttribute("data-bs-theme", chosen || preferred);
})();
