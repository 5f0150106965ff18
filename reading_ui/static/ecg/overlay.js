// What is laid over the sheet: calipers, their march, highlights and beat marks. Drawn anew from the state
// each time, in millimetres; text and lines keep their size on the screen at every scale.

import {
  amplitudeSpan, barOf, divisions, highlightBoxes, march, readingText, stripOf, xOf, yOf,
} from "./ruler.js";

const NAMESPACE = "http://www.w3.org/2000/svg";

// Replace the overlay's content. `pxPerMm` is the present scale of the sheet on the screen.
export function drawOverlay(overlay, sheet, state, words, pxPerMm) {
  const px = 1 / pxPerMm;
  const drawn = [];
  for (const box of highlightBoxes(sheet, state.highlight)) {
    drawn.push(shape("rect", { class: "ecg-highlight", ...box, rx: 1 }));
  }
  drawn.push(...beatMarks(sheet, state.beats, px));
  for (const caliper of state.calipers) {
    const strip = stripOf(sheet, caliper);
    if (strip === null) continue;
    const selected = caliper.id === state.selected;
    const parts = caliper.kind === "time"
      ? timeCaliper(sheet, strip, caliper, state.marching && selected, px, words)
      : amplitudeCaliper(sheet, strip, caliper, px, words);
    const group = shape("g", { class: `ecg-caliper${selected ? " ecg-selected" : ""}`, "data-caliper": caliper.id });
    group.append(...parts);
    drawn.push(group);
  }
  overlay.replaceChildren(...drawn);
}

function timeCaliper(sheet, strip, caliper, marching, px, words) {
  const beyond = strip.height < 20 ? 2.5 : -0.5; // in low rows the lines stand out above and below the waves
  const top = strip.top - beyond;
  const foot = strip.top + strip.height + beyond;
  const bar = barOf(strip);
  const x0 = xOf(sheet, strip, caliper.t0);
  const x1 = xOf(sheet, strip, caliper.t1);
  const upright = (x, kind) => shape("path", { class: kind, d: `M${x} ${top}V${foot}`, "stroke-width": px * 1.2 });
  const parts = [];
  if (marching) {
    for (const s of march(caliper, strip)) {
      const line = upright(xOf(sheet, strip, s), "ecg-march");
      line.setAttribute("stroke-dasharray", `${4 * px} ${3 * px}`);
      parts.push(line);
    }
  }
  parts.push(shape("rect", {
    class: "ecg-span", x: Math.min(x0, x1), y: top, width: Math.abs(x1 - x0), height: foot - top,
  }));
  parts.push(...divisions(caliper).map((s) => upright(xOf(sheet, strip, s), "ecg-division")));
  parts.push(upright(x0, "ecg-line"), upright(x1, "ecg-line"));
  parts.push(shape("path", { class: "ecg-line", d: `M${x0} ${bar}H${x1}`, "stroke-width": px * 1.2 }));
  return [...parts, ...label(readingText(caliper, words.perMinute), (x0 + x1) / 2, bar, sheet, px)];
}

function amplitudeCaliper(sheet, strip, caliper, px, words) {
  const [left, right] = amplitudeSpan(sheet, strip, caliper);
  const y0 = yOf(sheet, strip, caliper.uv0);
  const y1 = yOf(sheet, strip, caliper.uv1);
  const middle = xOf(sheet, strip, caliper.t1);
  const line = (d) => shape("path", { class: "ecg-line", d, "stroke-width": px * 1.2 });
  return [
    line(`M${left} ${y0}H${right}`), line(`M${left} ${y1}H${right}`), line(`M${middle} ${y0}V${y1}`),
    ...label(readingText(caliper, words.perMinute), middle, Math.min(y0, y1) - 13 * px, sheet, px),
  ];
}

function beatMarks(sheet, beats, px) {
  const longest = Math.max(0, ...sheet.strips.map((strip) => strip.durationS));
  const strip = sheet.strips.findLast((each) => each.durationS === longest);
  if (!strip) return [];
  return beats
    .filter((beat) => beat.t_s >= strip.startS && beat.t_s <= strip.startS + strip.durationS)
    .flatMap((beat) => {
      const x = xOf(sheet, strip, beat.t_s);
      const y = strip.top + strip.height - (beat.label ? 16 : 4) * px;
      const tip = shape("path", {
        class: "ecg-beat", d: `M${x} ${y - 6 * px}l${3.5 * px} ${6 * px}h${-7 * px}z`,
      });
      if (!beat.label) return [tip];
      const word = shape("text", { class: "ecg-beat", x, y: y + 12 * px, "font-size": 10 * px, "text-anchor": "middle" });
      word.textContent = beat.label;
      return [tip, word];
    });
}

// A line of text on a plate, kept inside the paper.
function label(text, x, y, sheet, px) {
  const wide = [...text].reduce((sum, char) => sum + (char.codePointAt(0) > 0x2e80 ? 12.5 : 7), 14) * px;
  const high = 19 * px;
  const { paper } = sheet;
  const left = Math.min(paper.x + paper.width - wide - px, Math.max(paper.x + px, x - wide / 2));
  const plate = shape("rect", { class: "ecg-plate", x: left, y: y - high / 2, width: wide, height: high, rx: 3 * px });
  const word = shape("text", {
    class: "ecg-reading", x: left + wide / 2, y: y + 4.3 * px, "font-size": 12.5 * px, "text-anchor": "middle",
  });
  word.textContent = text;
  return [plate, word];
}

function shape(name, attributes) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  return element;
}
