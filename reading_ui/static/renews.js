// A part of a page that renews itself: <div data-renews="/address/of/the/part" data-every="15">.
// What a person is about to do is never taken away: while a field in it is in use or changed, it waits.
import { tick } from "./time.js";
import { _ } from "./words.js";
import { notice } from "./base.js";

function inUse(part) {
  if (part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, button")) return true;
  return [...part.querySelectorAll("input:not([type=hidden]), select, textarea")].some((field) =>
    field.tagName === "SELECT" ? [...field.options].some((one) => one.selected !== one.defaultSelected && (one.value || field.selectedIndex > 0))
      : field.value !== field.defaultValue);
}

async function renew(part, rounds) {
  if (document.hidden || document.querySelector("dialog[open]") || inUse(part)) return;
  let answer;
  try {
    answer = await fetch(part.dataset.renews + location.search, { credentials: "same-origin", headers: { Accept: "text/html" } });
  } catch {
    return; // no connection: the next round tries again
  }
  if (answer.status === 401) {
    clearInterval(rounds);
    notice(_("登录已结束，请重新登录。"), true, 600_000);
    return;
  }
  if (!answer.ok) return;
  const words = await answer.text();
  if (inUse(part)) return; // a field was taken up while the answer came
  const fresh = new DOMParser().parseFromString(words, "text/html").body;
  part.replaceChildren(...fresh.childNodes);
  tick(part);
}

for (const part of document.querySelectorAll("[data-renews]")) {
  const rounds = setInterval(() => renew(part, rounds), Number(part.dataset.every ?? 15) * 1000);
}
