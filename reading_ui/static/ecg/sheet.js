// The ECG on the screen: fetches the drawing that the reader chose, shows it at the chosen size, and lets
// calipers be laid on it. All decisions are in state.js and ruler.js; this file only listens and draws.
//
// mountSheet(element) returns { highlight, markBeats, send, state }. The element names the drawing by
// data-sheet-url and may carry data-layout, data-speed, data-gain, data-filters, data-strings (JSON).

import { buildCalibration, buildToolbar, make } from "./controls.js";
import { drawOverlay } from "./overlay.js";
import { caliperOfDrag, grabAt, movedCaliper, readSheet, signalAt, stripAt } from "./ruler.js";
import { actionForKey, densityKept, densityToKeep, initialState, reduce, sheetQuery } from "./state.js";
import { wordsFor } from "./words.js";

const DENSITY_KEY = "ecg-sheet.device-px-per-mm";
const REACH_PX = 7;
const KEPT_DRAWINGS = 16;

export function mountSheet(element) {
  const words = wordsFor(document.documentElement.lang, suppliedWords(element));
  const kept = densityKept(recall(DENSITY_KEY), window.devicePixelRatio);
  let calibrated = kept !== null;
  let state = initialState({
    layout: element.dataset.layout,
    speed: Number(element.dataset.speed),
    gain: Number(element.dataset.gain),
    filters: (element.dataset.filters ?? "").split(","),
    fit: element.dataset.fit,
    pxPerMm: kept ?? undefined,
  });
  let sheet = null; // what readSheet says of the drawing on the screen
  let pending = null; // the request under way
  let wanted = ""; // the query of the drawing that the state asks for
  const drawings = new Map();

  const toolbar = buildToolbar(words, send, () => calibration.open(state.pxPerMm));
  const calibration = buildCalibration(words, (pxPerMm) => {
    remember(DENSITY_KEY, densityToKeep(pxPerMm, window.devicePixelRatio));
    calibrated = true;
    send({ type: "px-per-mm", value: pxPerMm });
    send({ type: "fit", value: "true" });
  });
  const view = make("div", "ecg-view");
  const frame = make("div", "ecg-frame");
  const overlay = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  overlay.setAttribute("class", "ecg-overlay");
  const notice = make("div", "ecg-notice");
  notice.setAttribute("role", "alert");
  notice.hidden = true;
  const pointer = make("span", "ecg-pointer");
  const told = make("span", "ecg-told");
  const status = make("div", "ecg-status");
  status.append(pointer, told, make("span", "ecg-keys", words.helpText));
  frame.append(overlay);
  view.append(frame);
  element.classList.add("ecg-sheet");
  element.replaceChildren(toolbar.element, notice, view, status, calibration.element);

  function send(action) {
    const before = state;
    state = reduce(state, action);
    if (state === before) return;
    toolbar.show(state);
    if (sheetQuery(state) !== wanted) load();
    fit();
  }

  async function load() {
    const query = sheetQuery(state);
    wanted = query;
    pending?.abort();
    pending = new AbortController();
    const { signal } = pending;
    try {
      if (!drawings.has(query)) {
        view.setAttribute("aria-busy", "true");
        keepDrawing(query, await fetchDrawing(`${element.dataset.sheetUrl}?${query}`, signal, words));
      }
      if (wanted !== query) return;
      show(drawings.get(query));
      notice.hidden = true;
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof SheetUnavailable)) throw error;
      complain(error.message);
    } finally {
      if (wanted === query) view.removeAttribute("aria-busy");
    }
  }

  function keepDrawing(query, drawing) {
    drawings.set(query, drawing);
    if (drawings.size > KEPT_DRAWINGS) drawings.delete(drawings.keys().next().value);
  }

  function show(drawing) {
    frame.querySelector(".ecg-drawing")?.remove();
    const root = document.importNode(drawing, true);
    root.classList.add("ecg-drawing");
    frame.prepend(root);
    sheet = readSheet(root, [...root.querySelectorAll("path[data-lead]")]);
    const { x, y, width, height } = sheet.paper;
    for (const drawn of [root, overlay]) drawn.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
    state = reduce(state, { type: "shown", seconds: sheet.seconds, recordingS: sheet.recordingS });
    toolbar.show(state);
    fit();
    if (sheetQuery(state) !== wanted) load(); // slower paper shows more: the last page begins earlier
  }

  function complain(reason) {
    const retry = make("button", "ecg-button", words.retry);
    retry.type = "button";
    retry.addEventListener("click", load);
    notice.replaceChildren(make("strong", "", words.failed), make("span", "", reason), retry);
    notice.hidden = false;
  }

  // Give the paper its size on the screen, then lay the calipers over it.
  function fit() {
    if (sheet === null) return;
    const { width, height } = sheet.paper;
    const room = { width: view.clientWidth - 16, height: view.clientHeight - 16 };
    const scale = {
      true: state.pxPerMm,
      width: room.width / width,
      page: Math.min(room.width / width, room.height / height),
    }[state.fit];
    frame.style.width = `${width * scale}px`;
    frame.style.height = `${height * scale}px`;
    frame.dataset.measuring = String(state.measuring);
    told.textContent = state.fit === "true" && !calibrated ? words.uncalibrated : state.measuring ? words.hint : "";
    drawOverlay(overlay, sheet, state, words, scale);
  }

  function paperPoint(event) {
    const box = overlay.getBoundingClientRect();
    const scale = sheet.paper.width / box.width;
    return {
      x: sheet.paper.x + (event.clientX - box.left) * scale,
      y: sheet.paper.y + (event.clientY - box.top) * scale,
      reachMm: REACH_PX * scale,
    };
  }

  let drag = null; // { from, grabbed } or { from, strip, id }
  overlay.addEventListener("pointerdown", (event) => {
    if (sheet === null || event.button !== 0) return;
    const from = paperPoint(event);
    const grabbed = grabAt(sheet, state.calipers, from, from.reachMm);
    const strip = stripAt(sheet, from);
    if (grabbed) drag = { from, grabbed };
    else if (state.measuring && strip) drag = { from, strip, id: null };
    else return send({ type: "caliper-select", id: null });
    if (grabbed) send({ type: "caliper-select", id: grabbed.caliper.id });
    overlay.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  overlay.addEventListener("pointermove", (event) => {
    if (sheet === null) return;
    const to = paperPoint(event);
    sayWhere(to);
    if (drag === null) {
      overlay.style.cursor = grabAt(sheet, state.calipers, to, to.reachMm) ? "grab" : "";
      return;
    }
    if (drag.grabbed) {
      const step = { x: to.x - drag.from.x, y: to.y - drag.from.y };
      send({ type: "caliper-put", caliper: movedCaliper(sheet, drag.grabbed.caliper, drag.grabbed.part, step) });
      return;
    }
    const caliper = caliperOfDrag(sheet, drag.strip, drag.from, to);
    if (caliper === null) return;
    send({ type: "caliper-put", caliper: { ...caliper, id: drag.id } });
    drag.id = state.selected;
  });
  for (const end of ["pointerup", "pointercancel"]) overlay.addEventListener(end, () => { drag = null; });
  overlay.addEventListener("pointerleave", () => { pointer.textContent = ""; });

  function sayWhere(point) {
    const strip = stripAt(sheet, point);
    if (strip === null) {
      pointer.textContent = "";
      return;
    }
    const { s, uv } = signalAt(sheet, strip, point);
    pointer.textContent = `${strip.lead}   ${s.toFixed(3)} s   ${((uv - strip.levelUv) / 1000).toFixed(2)} mV`;
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || isTyping(event.target) || calibration.element.open || !element.isConnected) return;
    const action = actionForKey(event, state);
    if (action === null) return;
    event.preventDefault();
    send(action);
  });
  new ResizeObserver(fit).observe(view);
  toolbar.show(state);
  load();

  return {
    // Show where a statement rests: { leads: ["II", "III"], t0_s, t1_s }, each optional; null takes it away.
    highlight(where) {
      if (where?.t0_s != null && (where.t0_s < state.start || where.t0_s >= state.start + state.seconds)) {
        send({ type: "start", value: where.t0_s - 1 });
      }
      send({ type: "highlight", value: where });
      overlay.querySelector(".ecg-highlight")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    },
    // Mark beats under the longest strip: [{ t_s, label }].
    markBeats(beats) {
      send({ type: "beats", value: beats });
    },
    send,
    state: () => state,
  };
}

// The drawing could not be had; the message is for the reader.
class SheetUnavailable extends Error {}

async function fetchDrawing(address, signal, words) {
  let answer;
  try {
    answer = await fetch(address, { signal, credentials: "same-origin", headers: { Accept: "image/svg+xml" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new SheetUnavailable(words.offline);
  }
  if (!answer.ok) throw new SheetUnavailable(words.refused.replace("{status}", answer.status));
  const parsed = new DOMParser().parseFromString(await answer.text(), "image/svg+xml").documentElement;
  if (parsed.nodeName !== "svg" || parsed.querySelector("script, foreignObject")) {
    throw new SheetUnavailable(words.refused.replace("{status}", "SVG"));
  }
  return parsed;
}

function suppliedWords(element) {
  return element.dataset.strings ? JSON.parse(element.dataset.strings) : {};
}

function isTyping(target) {
  return target instanceof Element && target.closest("input, textarea, select, [contenteditable=true], dialog") !== null;
}

function recall(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // storage shut by the browser: the screen counts as not calibrated
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // storage shut by the browser: the calibration holds until the page is left
  }
}
