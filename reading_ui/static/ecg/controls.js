// The toolbar, the status line and the bank card: buttons that send actions and show the state.

import { FILTERS, FITS, GAINS, LAYOUTS, SPEEDS } from "./state.js";

const CARD_MM = { width: 85.6, height: 53.98 };

// Build the toolbar; `send` takes an action. Returns { element, show(state) }.
export function buildToolbar(words, send, askCalibration) {
  const toolbar = make("div", "ecg-toolbar");
  toolbar.setAttribute("role", "toolbar");
  toolbar.setAttribute("aria-label", words.sheet);
  const watched = [];
  const button = (text, action, pressed, key, name) => {
    const element = make("button", "ecg-button", text);
    element.type = "button";
    element.title = key ? `${name ?? text}（${key}）` : name ?? text;
    element.addEventListener("click", () => send(action));
    if (pressed) watched.push((state) => element.setAttribute("aria-pressed", String(pressed(state))));
    return element;
  };
  const group = (name, ...buttons) => {
    const box = make("div", "ecg-group");
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", name);
    const segment = make("div", "ecg-segment");
    segment.append(...buttons);
    box.append(make("span", "ecg-group-name", name), segment);
    return box;
  };
  const clear = button(words.clear, { type: "caliper-clear" }, null, null);
  watched.push((state) => { clear.disabled = state.calipers.length === 0; });
  const calibrate = make("button", "ecg-button", words.calibrate);
  calibrate.type = "button";
  calibrate.addEventListener("click", askCalibration);
  const pages = buildPages(words, button, watched);
  toolbar.append(
    group(words.layout, ...LAYOUTS.map((value, n) =>
      button(words[`layout-${value}`], { type: "layout", value }, (state) => state.layout === value, n + 1))),
    group(words.speed, ...SPEEDS.map((value) =>
      button(String(value), { type: "speed", value }, (state) => state.speed === value, "[ ]", `${value} mm/s`))),
    group(words.gain, ...GAINS.map((value) =>
      button(String(value), { type: "gain", value }, (state) => state.gain === value, "+ −", `${value} mm/mV`))),
    group(words.filters, ...FILTERS.map((name) =>
      button(words[name], { type: "filter-toggle", name }, (state) => state.filters.includes(name), "F"))),
    group(words.tools,
      button(words.measure, { type: "measure" }, (state) => state.measuring, "C"),
      button(words.march, { type: "march" }, (state) => state.marching, "M"), clear),
    group(words.view, ...FITS.map((value) =>
      button(words[`fit-${value}`], { type: "fit", value }, (state) => state.fit === value, value === "true" ? "T" : null)),
      calibrate),
    pages,
  );
  return { element: toolbar, show: (state) => watched.forEach((update) => update(state)) };
}

function buildPages(words, button, watched) {
  const pages = make("div", "ecg-group ecg-pages");
  const earlier = button("‹", { type: "page", by: -1 }, null, "←", words.earlier);
  const later = button("›", { type: "page", by: 1 }, null, "→", words.later);
  const where = make("span", "ecg-where");
  const segment = make("div", "ecg-segment");
  segment.append(earlier, where, later);
  pages.append(segment);
  watched.push((state) => {
    const end = Math.min(state.recordingS, state.start + state.seconds);
    pages.hidden = state.recordingS <= state.seconds + 0.05;
    where.textContent = `${seconds(state.start)}–${seconds(end)} / ${seconds(state.recordingS)} s`;
    earlier.disabled = state.start <= 0;
    later.disabled = end >= state.recordingS - 0.001;
  });
  return pages;
}

// The dialog in which a box is made as large as a bank card. `keep(pxPerMm)` is called on saving.
export function buildCalibration(words, keep) {
  const dialog = make("dialog", "ecg-calibration");
  const form = make("form");
  form.method = "dialog";
  const card = make("div", "ecg-card");
  const slider = make("input", "ecg-slider");
  Object.assign(slider, { type: "range", min: "2", max: "12", step: "0.01" });
  slider.setAttribute("aria-label", words.finer);
  const told = make("output", "ecg-density");
  const size = () => {
    const pxPerMm = Number(slider.value);
    card.style.width = `${CARD_MM.width * pxPerMm}px`;
    card.style.height = `${CARD_MM.height * pxPerMm}px`;
    told.textContent = `${pxPerMm.toFixed(2)} ${words.finer}`;
  };
  slider.addEventListener("input", size);
  const save = make("button", "ecg-button ecg-primary", words.save);
  save.value = "save";
  const cancel = make("button", "ecg-button", words.cancel);
  cancel.value = "cancel";
  const row = make("div", "ecg-dialog-row");
  row.append(slider, told);
  const foot = make("div", "ecg-dialog-row ecg-dialog-foot");
  foot.append(cancel, save);
  form.append(make("h2", "", words.cardTitle), make("p", "", words.cardText), row, card, foot);
  dialog.append(form);
  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "save") keep(Number(slider.value));
  });
  return {
    element: dialog,
    open(pxPerMm) {
      slider.value = String(pxPerMm);
      dialog.returnValue = "";
      size();
      dialog.showModal();
    },
  };
}

export function make(name, className = "", text = "") {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

function seconds(value) {
  return String(Number(value.toFixed(1)));
}
