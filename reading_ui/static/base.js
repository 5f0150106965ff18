// Comfort that every page has: dialogs, confirmations, countdowns, notices. Pages work without it.
import { tick } from "./time.js";

document.documentElement.classList.add("scripted");

export function notice(words, bad = false, lasts_ms = 6000) {
  const line = document.createElement("p");
  line.textContent = words;
  line.classList.toggle("bad", bad);
  document.getElementById("notices").append(line);
  setTimeout(() => line.remove(), lasts_ms);
}

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const opener = target?.closest("[data-opens]");
  if (opener) {
    opener.closest("details")?.removeAttribute("open");
    document.getElementById(opener.dataset.opens)?.showModal();
    return;
  }
  const closer = target?.closest("[data-closes]");
  if (closer) {
    closer.closest("dialog")?.close();
    return;
  }
  const putter = target?.closest("[data-puts]");
  if (putter) {
    const field = document.getElementById(putter.dataset.puts);
    field.value = [field.value.trim(), putter.textContent].filter(Boolean).join("\n");
    field.focus();
    return;
  }
  if (target?.closest("[data-back]") && history.length > 1) {
    event.preventDefault();
    history.back();
    return;
  }
  const printer = target?.closest("[data-print]");
  if (printer) (printer.dataset.print ? document.getElementById(printer.dataset.print).contentWindow : window).print();
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(target)) menu.open = false;
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
});

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
  if (question && !window.confirm(question)) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}, true);

document.addEventListener("change", (event) => {
  event.target.closest?.("[data-autosubmit]")?.requestSubmit();
});

for (const button of document.querySelectorAll("[data-print]")) button.hidden = false;
tick();
setInterval(() => tick(), 10_000);
