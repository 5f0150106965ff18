// What the reader has chosen, and how each action changes it: values in, values out, no page.
//
// The promise: every state that `reduce` returns can be asked of the server (`sheetQuery`) and drawn.

export const LAYOUTS = ["3x4+1", "6x2", "12x1", "recorded"];
export const SPEEDS = [12.5, 25, 50];
export const GAINS = [5, 10, 20];
export const FILTERS = ["baseline", "mains", "muscle"];
export const FITS = ["page", "width", "true"];
export const CSS_PX_PER_MM = 96 / 25.4;

const SMALLEST_PX_PER_MM = 1;
const LARGEST_PX_PER_MM = 40;

export function initialState(chosen = {}) {
  return {
    layout: LAYOUTS.includes(chosen.layout) ? chosen.layout : "3x4+1",
    speed: SPEEDS.includes(chosen.speed) ? chosen.speed : 25,
    gain: GAINS.includes(chosen.gain) ? chosen.gain : 10,
    filters: FILTERS.filter((name) => (chosen.filters ?? []).includes(name)),
    start: 0,
    seconds: 10, // what the sheet shows, told by the sheet itself
    recordingS: 10,
    fit: FITS.includes(chosen.fit) ? chosen.fit : "page",
    pxPerMm: within(chosen.pxPerMm ?? CSS_PX_PER_MM, SMALLEST_PX_PER_MM, LARGEST_PX_PER_MM),
    measuring: false,
    marching: false,
    calipers: [],
    selected: null,
    nextId: 1,
    highlight: null,
    beats: [],
  };
}

// Each action by its name: (state, action) => state.
const STEPS = {
  layout: (state, { value }) => (LAYOUTS.includes(value) ? { ...state, layout: value } : state),
  speed: (state, { value }) => (SPEEDS.includes(value) ? { ...state, speed: value } : state),
  gain: (state, { value }) => (GAINS.includes(value) ? { ...state, gain: value } : state),
  "speed-step": (state, { by }) => ({ ...state, speed: stepped(SPEEDS, state.speed, by) }),
  "gain-step": (state, { by }) => ({ ...state, gain: stepped(GAINS, state.gain, by) }),
  "filter-toggle": (state, { name }) => ({
    ...state,
    filters: FILTERS.filter((each) => (each === name) !== state.filters.includes(each)),
  }),
  "filter-cycle": (state) => ({
    ...state,
    filters: state.filters.length < FILTERS.length ? FILTERS.slice(0, state.filters.length + 1) : [],
  }),
  page: (state, { by }) => ({ ...state, start: within(state.start + by * state.seconds, 0, lastStart(state)) }),
  start: (state, { value }) => ({ ...state, start: within(value, 0, lastStart(state)) }),
  shown: (state, { seconds, recordingS }) => {
    const known = { ...state, seconds, recordingS };
    return { ...known, start: within(state.start, 0, lastStart(known)) };
  },
  fit: (state, { value }) => (FITS.includes(value) ? { ...state, fit: value } : state),
  "px-per-mm": (state, { value }) => ({ ...state, pxPerMm: within(value, SMALLEST_PX_PER_MM, LARGEST_PX_PER_MM) }),
  measure: (state) => ({ ...state, measuring: !state.measuring }),
  march: (state) => ({ ...state, marching: !state.marching }),
  "caliper-put": (state, { caliper }) => put(state, caliper),
  "caliper-select": (state, { id }) => ({ ...state, selected: state.calipers.some((c) => c.id === id) ? id : null }),
  "caliper-delete": (state) => {
    const id = state.selected ?? state.calipers.at(-1)?.id;
    const calipers = state.calipers.filter((caliper) => caliper.id !== id);
    return { ...state, calipers, selected: null };
  },
  "caliper-clear": (state) => ({ ...state, calipers: [], selected: null }),
  "caliper-nudge": (state, { byS }) =>
    changeSelected(state, (c) => (c.kind === "time" ? { ...c, t1: c.t1 + byS } : c)),
  intervals: (state, { by }) =>
    changeSelected(state, (c) => (c.kind === "time" ? { ...c, intervals: within(c.intervals + by, 1, 20) } : c)),
  escape: (state) => {
    if (state.calipers.length > 0) return reduce(state, { type: "caliper-delete" });
    if (state.measuring) return { ...state, measuring: false, marching: false };
    return { ...state, highlight: null };
  },
  highlight: (state, { value }) => ({ ...state, highlight: value }),
  beats: (state, { value }) => ({ ...state, beats: value }),
};

export function reduce(state, action) {
  const step = STEPS[action.type];
  if (!step) throw new Error(`unknown action ${action.type}`);
  return step(state, action);
}

// The query of the sheet's address, in a fixed order so that equal choices share one cached drawing.
export function sheetQuery(state) {
  const query = new URLSearchParams({ layout: state.layout, speed: String(state.speed), gain: String(state.gain) });
  if (state.filters.length > 0) query.set("filters", state.filters.join(","));
  if (state.start > 0) query.set("start", String(Number(state.start.toFixed(3))));
  return query.toString();
}

const KEYS = {
  1: { type: "layout", value: "3x4+1" },
  2: { type: "layout", value: "6x2" },
  3: { type: "layout", value: "12x1" },
  4: { type: "layout", value: "recorded" },
  "+": { type: "gain-step", by: 1 },
  "=": { type: "gain-step", by: 1 },
  "-": { type: "gain-step", by: -1 },
  "[": { type: "speed-step", by: -1 },
  "]": { type: "speed-step", by: 1 },
  f: { type: "filter-cycle" },
  c: { type: "measure" },
  m: { type: "march" },
  ",": { type: "intervals", by: -1 },
  ".": { type: "intervals", by: 1 },
  escape: { type: "escape" },
};

// The action of a key, or null where the sheet leaves the key to the page.
export function actionForKey(event, state) {
  if (event.ctrlKey || event.altKey || event.metaKey) return null;
  const key = event.key.toLowerCase();
  if (key === "arrowleft" || key === "arrowright") {
    const sign = key === "arrowright" ? 1 : -1;
    if (state.selected !== null) return { type: "caliper-nudge", byS: sign * (event.shiftKey ? 0.01 : 0.002) };
    return state.recordingS > state.seconds ? { type: "page", by: sign } : null;
  }
  if (key === "t") return { type: "fit", value: state.fit === "true" ? "page" : "true" };
  if (key === "escape" && !state.calipers.length && !state.measuring && !state.highlight) return null;
  return Object.hasOwn(KEYS, key) ? KEYS[key] : null;
}

// The screen's density is remembered in its own pixels, so that the browser's zoom does not change the size.
export function densityToKeep(pxPerMm, pixelRatio) {
  return String(Number((pxPerMm * pixelRatio).toFixed(4)));
}

export function densityKept(written, pixelRatio) {
  const density = Number(written) / pixelRatio;
  return density >= SMALLEST_PX_PER_MM && density <= LARGEST_PX_PER_MM ? density : null;
}

function put(state, caliper) {
  if (caliper.id != null) {
    const calipers = state.calipers.map((each) => (each.id === caliper.id ? caliper : each));
    return { ...state, calipers, selected: caliper.id };
  }
  const added = { ...caliper, id: state.nextId };
  return { ...state, calipers: [...state.calipers, added], selected: added.id, nextId: state.nextId + 1 };
}

function changeSelected(state, change) {
  return { ...state, calipers: state.calipers.map((each) => (each.id === state.selected ? change(each) : each)) };
}

function lastStart(state) {
  return Math.max(0, state.recordingS - state.seconds);
}

function stepped(values, value, by) {
  return values[within(values.indexOf(value) + by, 0, values.length - 1)];
}

function within(value, least, most) {
  return Math.min(most, Math.max(least, value));
}
