// Millimetres of the sheet, seconds and microvolts of the heart: the arithmetic of pointer and calipers.
//
// A caliper is kept in seconds and microvolts of its lead, so that it stays on its wave when the layout,
// speed or gain changes. { id, kind: "time"|"amplitude", lead, homeS, t0, t1, uv0, uv1, intervals }

// Blank paper around the drawing that a screen need not show.
const BLANK_MM = { sides: 9, ends: 5 };

// The scale and strips of a sheet, from its attributes: `root` and `paths` answer getAttribute. `paper` is
// the part of it that a screen shows, in millimetres of the sheet.
export function readSheet(root, paths) {
  const number = (element, name) => Number(element.getAttribute(name));
  const [, , width, height] = root.getAttribute("viewBox").split(" ").map(Number);
  return {
    paper: {
      x: BLANK_MM.sides, y: BLANK_MM.ends, width: width - 2 * BLANK_MM.sides, height: height - 2 * BLANK_MM.ends,
    },
    speed: number(root, "data-speed-mm-s"),
    gain: number(root, "data-gain-mm-mv"),
    seconds: number(root, "data-seconds"),
    recordingS: number(root, "data-recording-s"),
    strips: paths.map((path) => ({
      lead: path.getAttribute("data-lead"),
      x0: number(path, "data-x0-mm"),
      width: number(path, "data-width-mm"),
      top: number(path, "data-top-mm"),
      height: number(path, "data-height-mm"),
      baseline: number(path, "data-baseline-mm"),
      startS: number(path, "data-start-s"),
      durationS: number(path, "data-duration-s"),
      levelUv: number(path, "data-level-uv"),
    })),
  };
}

// The strip under a point of the paper, or null; above and below the last row the nearest row is meant.
export function stripAt(sheet, point) {
  const beside = sheet.strips.filter((s) => point.x >= s.x0 && point.x <= s.x0 + s.width);
  let nearest = null;
  for (const strip of beside) {
    const away = Math.abs(point.y - (strip.top + strip.height / 2));
    if (away <= strip.height && (nearest === null || away < nearest.away)) nearest = { strip, away };
  }
  return nearest?.strip ?? null;
}

export function signalAt(sheet, strip, point) {
  return {
    s: strip.startS + (point.x - strip.x0) / sheet.speed,
    uv: strip.levelUv + ((strip.baseline - point.y) / sheet.gain) * 1000,
  };
}

export function xOf(sheet, strip, s) {
  return strip.x0 + (s - strip.startS) * sheet.speed;
}

export function yOf(sheet, strip, uv) {
  return strip.baseline - ((uv - strip.levelUv) / 1000) * sheet.gain;
}

// The caliper of a fresh drag: along the paper it measures time, across it amplitude; null if too short.
export function caliperOfDrag(sheet, strip, from, to, leastMm = 0.8) {
  const along = Math.abs(to.x - from.x);
  const across = Math.abs(to.y - from.y);
  if (Math.max(along, across) < leastMm) return null;
  const a = signalAt(sheet, strip, from);
  const b = signalAt(sheet, strip, to);
  const kind = along >= across ? "time" : "amplitude";
  return { id: null, kind, lead: strip.lead, homeS: strip.startS, t0: a.s, t1: b.s, uv0: a.uv, uv1: b.uv, intervals: 1 };
}

// A caliper with one end, or the whole, moved by a step on the paper.
export function movedCaliper(sheet, caliper, part, step) {
  const s = step.x / sheet.speed;
  const uv = (-step.y / sheet.gain) * 1000;
  const first = part !== "second";
  const second = part !== "first";
  return {
    ...caliper,
    t0: caliper.t0 + (first ? s : 0),
    t1: caliper.t1 + (second ? s : 0),
    uv0: caliper.uv0 + (first ? uv : 0),
    uv1: caliper.uv1 + (second ? uv : 0),
  };
}

// Where a caliper stands on this sheet: in the strip it was drawn on, else in the longest one that holds it.
export function stripOf(sheet, caliper) {
  const [early, late] = ordered(caliper.t0, caliper.t1);
  const holds = (strip) =>
    strip.lead === caliper.lead && early >= strip.startS - 0.2 && late <= strip.startS + strip.durationS + 0.2;
  const holding = sheet.strips.filter(holds).sort((a, b) => b.durationS - a.durationS);
  return holding.find((strip) => strip.startS === caliper.homeS && strip.durationS >= 2 * (late - early)) ?? holding[0] ?? null;
}

// What a caliper says: milliseconds of one interval and beats a minute, or millivolts with their sign.
export function reading(caliper) {
  if (caliper.kind === "amplitude") return { mv: (caliper.uv1 - caliper.uv0) / 1000 };
  const ms = (Math.abs(caliper.t1 - caliper.t0) * 1000) / caliper.intervals;
  return { ms, bpm: ms > 0 ? 60000 / ms : null, intervals: caliper.intervals };
}

export function readingText(caliper, perMinute = "bpm") {
  const said = reading(caliper);
  if (caliper.kind === "amplitude") return `${signed(said.mv)} mV`;
  const rate = said.bpm !== null && said.ms >= 150 ? ` · ${Math.round(said.bpm)} ${perMinute}` : "";
  return `${said.intervals > 1 ? `÷${said.intervals}  ` : ""}${Math.round(said.ms)} ms${rate}`;
}

// The instants inside a time caliper where its intervals are divided.
export function divisions(caliper) {
  const step = (caliper.t1 - caliper.t0) / caliper.intervals;
  return Array.from({ length: caliper.intervals - 1 }, (_, n) => caliper.t0 + (n + 1) * step);
}

// The instants to which an interval marches, before and after the caliper, to both ends of its strip.
export function march(caliper, strip) {
  const step = Math.abs(caliper.t1 - caliper.t0) / caliper.intervals;
  if (caliper.kind !== "time" || step < 0.04) return [];
  const [early, late] = ordered(caliper.t0, caliper.t1);
  const instants = [];
  for (let s = early - step; s >= strip.startS; s -= step) instants.unshift(s);
  for (let s = late + step; s <= strip.startS + strip.durationS; s += step) instants.push(s);
  return instants;
}

// Which caliper, and which part of it, is within reach of a point: { caliper, part } or null, newest first.
export function grabAt(sheet, calipers, point, reachMm) {
  for (const caliper of [...calipers].reverse()) {
    const strip = stripOf(sheet, caliper);
    if (strip === null) continue;
    const part = caliper.kind === "time"
      ? partOf(point.x, xOf(sheet, strip, caliper.t0), xOf(sheet, strip, caliper.t1), reachMm,
          point.y >= strip.top && point.y <= strip.top + strip.height, Math.abs(point.y - barOf(strip)) <= reachMm)
      : partOf(point.y, yOf(sheet, strip, caliper.uv0), yOf(sheet, strip, caliper.uv1), reachMm,
          nearSpan(point.x, ...amplitudeSpan(sheet, strip, caliper), reachMm),
          Math.abs(point.x - xOf(sheet, strip, caliper.t1)) <= reachMm);
    if (part !== null) return { caliper, part };
  }
  return null;
}

// The height at which the bar of a time caliper is drawn, and the breadth of an amplitude caliper.
export function barOf(strip) {
  return strip.top + strip.height * 0.86;
}

export function amplitudeSpan(sheet, strip, caliper) {
  const [left, right] = ordered(xOf(sheet, strip, caliper.t0), xOf(sheet, strip, caliper.t1));
  return [left - 3, right + 3];
}

// The part of each strip that a highlight covers, as boxes on the paper. No leads means every lead.
export function highlightBoxes(sheet, highlight) {
  if (!highlight) return [];
  const boxes = [];
  for (const strip of sheet.strips) {
    if (highlight.leads?.length && !highlight.leads.includes(strip.lead)) continue;
    const from = Math.max(strip.startS, highlight.t0_s ?? -Infinity);
    const to = Math.min(strip.startS + strip.durationS, highlight.t1_s ?? Infinity);
    if (to <= from) continue;
    boxes.push({ x: xOf(sheet, strip, from), y: strip.top, width: (to - from) * sheet.speed, height: strip.height });
  }
  // The named leads are not drawn at that time: whatever is shows it.
  if (!boxes.length && highlight.leads?.length && highlight.t0_s != null) return highlightBoxes(sheet, { ...highlight, leads: [] });
  return boxes;
}

function partOf(at, first, second, reachMm, inside, onBar) {
  if (!inside) return null;
  const toFirst = Math.abs(at - first);
  const toSecond = Math.abs(at - second);
  if (Math.min(toFirst, toSecond) <= reachMm) return toFirst < toSecond ? "first" : "second";
  return onBar && at > Math.min(first, second) && at < Math.max(first, second) ? "whole" : null;
}

function nearSpan(at, left, right, reachMm) {
  return at >= left - reachMm && at <= right + reachMm;
}

function ordered(a, b) {
  return a <= b ? [a, b] : [b, a];
}

function signed(mv) {
  const written = Math.abs(mv).toFixed(2);
  return written === "0.00" ? written : `${mv < 0 ? "−" : "+"}${written}`;
}
