// The worklist by keyboard, and a list that renews itself without taking away what the reader has selected.
import { notice } from "./base.js";
import { nextSelection, commandOf } from "./worklist-keys.js";
import { tick } from "./time.js";
import { _ } from "./words.js";

const home = document.getElementById("worklist");
const live = document.querySelector("[data-live]");
const CALM_MS = 250; // several changes in a row are one renewal
let selected = null; // the reading's id
let renewing = false;
let again = false;
let timer = 0;

const rows = () => [...home.querySelectorAll("tr[data-row]")];
const rowOf = (id) => rows().find((row) => row.dataset.row === id) ?? null;

function select(id, { focus = true } = {}) {
  selected = id;
  for (const row of rows()) {
    const mine = row.dataset.row === id;
    row.setAttribute("aria-selected", String(mine));
    row.tabIndex = mine ? 0 : -1;
    if (mine && focus) {
      row.focus({ preventScroll: true });
      row.scrollIntoView({ block: "nearest" });
    }
  }
}

async function renew() {
  if (renewing) {
    again = true;
    return;
  }
  renewing = true;
  try {
    const answer = await fetch(home.dataset.table + location.search, { credentials: "same-origin", headers: { Accept: "text/html" } });
    if (answer.status === 401 || answer.redirected) return ended();
    if (!answer.ok) throw new Error(String(answer.status));
    swap(await answer.text());
    show("on", _("自动刷新"));
  } catch {
    show("off", _("连接中断，正在重连"));
  } finally {
    renewing = false;
    if (again) {
      again = false;
      soon();
    }
  }
}

// Puts the new list in place; selection, focus, scroll, open dialogs and half-typed search stay.
function swap(html) {
  if (document.querySelector("dialog[open]")) {
    again = false;
    setTimeout(soon, 2000);
    return;
  }
  const active = document.activeElement;
  const hadRow = active?.closest?.("tr[data-row]") !== null && home.contains(active);
  const typing = active?.closest?.("[data-filters]") !== null && home.contains(active);
  const before = rows().findIndex((row) => row.dataset.row === selected);
  const scroller = home.querySelector(".scroll");
  const top = scroller?.scrollTop ?? 0;
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  const held = typing ? home.querySelector("[data-filters]") : null;
  const caret = typing && "selectionStart" in active ? [active.selectionStart, active.selectionEnd] : null;
  if (held) fresh.querySelector("[data-filters]")?.replaceWith(held);
  home.replaceChildren(...fresh.childNodes);
  if (held) {
    active.focus();
    if (caret && active.setSelectionRange) active.setSelectionRange(...caret);
  }
  const now = home.querySelector(".scroll");
  if (now) now.scrollTop = top;
  tick(home);
  if (selected !== null && rowOf(selected) === null) {
    const list = rows();
    selected = list.length ? list[Math.min(Math.max(before, 0), list.length - 1)].dataset.row : null;
  }
  if (selected !== null) select(selected, { focus: hadRow });
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(renew, CALM_MS);
}

function show(kind, words) {
  live.classList.toggle("on", kind === "on");
  live.classList.toggle("off", kind === "off");
  live.querySelector("[data-live-words]").textContent = words;
}

function ended() {
  source?.close();
  show("off", _("登录已结束"));
  notice(_("登录已结束，请重新登录。"), true, 600_000);
}

let source = null;
function listen() {
  source?.close();
  source = new EventSource(home.dataset.events);
  source.addEventListener("change", (event) => {
    if (event.data !== home.querySelector("[data-mark]")?.dataset.mark) soon();
  });
  source.addEventListener("open", () => show("on", _("自动刷新")));
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) {
      show("off", _("连接中断，正在重连"));
      renew();
      setTimeout(listen, 5000);
    }
  });
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select");
  if (typing && event.key === "Escape") typing.blur();
  if (event.defaultPrevented || typing || document.querySelector("dialog[open]")) return;
  const command = commandOf(event);
  if (command === null) return;
  if (event.key === "Enter" && event.target.closest?.("a, button, summary")) return;
  const row = selected === null ? null : rowOf(selected);
  if (command === "next" || command === "previous") {
    const ids = rows().map((each) => each.dataset.row);
    select(nextSelection(ids, selected, command === "next" ? 1 : -1));
  } else if (command === "open") {
    if (row === null) return;
    if (row.dataset.state === "queued") row.querySelector("form.act").requestSubmit();
    else location.assign(row.dataset.address);
  } else if (command === "claim") row?.querySelector('form.act[action$="/claim"]')?.requestSubmit();
  else if (command === "review") {
    if (row?.dataset.state === "preliminary") location.assign(row.dataset.address);
    else home.querySelector('[data-tab="3"]')?.click();
  } else if (command === "first") home.querySelector("[data-next]")?.click();
  else if (command === "search") document.getElementById("search").select();
  else if (command === "help") document.getElementById("keys").showModal();
  else if (command.startsWith("tab")) home.querySelector(`[data-tab="${command.slice(3)}"]`)?.click();
  event.preventDefault();
});

home.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-row]");
  if (row && !event.target.closest("a, button, form")) select(row.dataset.row);
});
home.addEventListener("dblclick", (event) => {
  const row = event.target.closest("tr[data-row]");
  if (row && !event.target.closest("a, button, form")) location.assign(row.dataset.address);
});
home.addEventListener("focusin", (event) => {
  const row = event.target.closest("tr[data-row]");
  if (row && row.dataset.row !== selected) select(row.dataset.row, { focus: false });
});
home.addEventListener("change", (event) => {
  if (event.target.matches("[data-filters] select")) event.target.form.requestSubmit();
});

listen();
