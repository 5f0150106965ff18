// The clinic's list renews itself twice a minute; a half-typed read-back or search is never taken away.
import { tick } from "./time.js";
import { _ } from "./words.js";
import { notice } from "./base.js";

const home = document.getElementById("clinic-list");
const EVERY_MS = 30_000;

async function renew() {
  if (document.hidden || home.contains(document.activeElement) && document.activeElement.matches("input, select")) return;
  if ([...home.querySelectorAll("input[name=words]")].some((field) => field.value)) return;
  let answer;
  try {
    answer = await fetch(home.dataset.table + location.search, { credentials: "same-origin", headers: { Accept: "text/html" } });
  } catch {
    return; // no connection: the next round tries again
  }
  if (answer.status === 401) {
    clearInterval(rounds);
    notice(_("登录已结束，请重新登录。"), true, 600_000);
    return;
  }
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").body;
  home.replaceChildren(...fresh.childNodes);
  tick(home);
}

const rounds = home ? setInterval(renew, EVERY_MS) : 0;
