import assert from "node:assert/strict";
import { test } from "node:test";

import {
  caliperOfDrag, divisions, grabAt, highlightBoxes, march, movedCaliper, reading, readingText, readSheet,
  signalAt, stripAt, stripOf, xOf, yOf,
} from "../../../reading_ui/static/ecg/ruler.js";

const strip = (lead, more = {}) => ({
  lead, x0: 28.5, width: 250, top: 40, height: 40, baseline: 60, startS: 0, durationS: 10, levelUv: 0, ...more,
});
const sheet = (strips = [strip("II")], speed = 25, gain = 10) => ({
  paper: { x: 9, y: 5, width: 279, height: 200 }, speed, gain, seconds: 10, recordingS: 10, strips,
});
const near = (a, b, tolerance = 1e-9) => assert.ok(Math.abs(a - b) <= tolerance, `${a} is not ${b}`);

test("the scale and the strips are read from the drawing's attributes", () => {
  const element = (attributes) => ({ getAttribute: (name) => attributes[name] ?? null });
  const read = readSheet(
    element({ viewBox: "0 0 297 210", "data-speed-mm-s": "12.5", "data-gain-mm-mv": "5", "data-seconds": "10", "data-recording-s": "30" }),
    [element({ "data-lead": "aVR", "data-x0-mm": "28.5", "data-width-mm": "31.25", "data-top-mm": "36",
      "data-height-mm": "40", "data-baseline-mm": "56", "data-start-s": "2.5", "data-duration-s": "2.5", "data-level-uv": "-12.5" })]);
  assert.deepEqual(read.paper, { x: 9, y: 5, width: 279, height: 200 });
  assert.deepEqual([read.speed, read.gain, read.recordingS], [12.5, 5, 30]);
  assert.deepEqual(read.strips[0], {
    lead: "aVR", x0: 28.5, width: 31.25, top: 36, height: 40, baseline: 56, startS: 2.5, durationS: 2.5, levelUv: -12.5 });
});

test("20 mm along the paper are 800 ms and 75 beats a minute at 25 mm/s", () => {
  const paper = sheet();
  const caliper = caliperOfDrag(paper, paper.strips[0], { x: 40, y: 60 }, { x: 60, y: 62 });
  assert.equal(caliper.kind, "time");
  near(reading(caliper).ms, 800, 1e-6);
  near(reading(caliper).bpm, 75, 1e-6);
  assert.equal(readingText(caliper, "次/分"), "800 ms · 75 次/分");
});

test("the same drag is half the time at 50 mm/s and twice at 12.5 mm/s", () => {
  for (const [speed, ms] of [[50, 400], [12.5, 1600]]) {
    const paper = sheet(undefined, speed);
    near(reading(caliperOfDrag(paper, paper.strips[0], { x: 40, y: 60 }, { x: 60, y: 60 })).ms, ms, 1e-6);
  }
});

test("10 mm upward are plus one millivolt at 10 mm/mV and downward minus", () => {
  for (const [gain, mv] of [[5, 2], [10, 1], [20, 0.5]]) {
    const paper = sheet(undefined, 25, gain);
    near(reading(caliperOfDrag(paper, paper.strips[0], { x: 40, y: 60 }, { x: 41, y: 50 })).mv, mv, 1e-9);
  }
  const paper = sheet();
  assert.equal(readingText(caliperOfDrag(paper, paper.strips[0], { x: 40, y: 50 }, { x: 40, y: 53 })), "−0.30 mV");
});

test("a click is not a caliper", () => {
  const paper = sheet();
  assert.equal(caliperOfDrag(paper, paper.strips[0], { x: 40, y: 50 }, { x: 40.3, y: 50.2 }), null);
});

test("a drag to the left measures the same as a drag to the right", () => {
  const paper = sheet();
  near(reading(caliperOfDrag(paper, paper.strips[0], { x: 60, y: 60 }, { x: 40, y: 60 })).ms, 800, 1e-6);
});

test("an interval too short for a heart shows no rate", () => {
  const paper = sheet();
  assert.equal(readingText(caliperOfDrag(paper, paper.strips[0], { x: 40, y: 60 }, { x: 42.5, y: 60 })), "100 ms");
});

test("places and signals are each other's inverse, with an offset baseline and a later start", () => {
  const late = strip("V3", { startS: 5, levelUv: 120 });
  const paper = sheet([late], 50, 20);
  const there = signalAt(paper, late, { x: 78.5, y: 40 });
  near(there.s, 6);
  near(there.uv, 1120);
  near(xOf(paper, late, there.s), 78.5);
  near(yOf(paper, late, there.uv), 40);
});

test("the pointer finds the strip of its row and column and none in the margin", () => {
  const paper = sheet([strip("I", { width: 62.5 }), strip("aVR", { x0: 91, width: 62.5 }), strip("II", { top: 80, baseline: 100 })]);
  assert.equal(stripAt(paper, { x: 100, y: 55 }).lead, "aVR");
  assert.equal(stripAt(paper, { x: 40, y: 45 }).lead, "I");
  assert.equal(stripAt(paper, { x: 40, y: 110 }).lead, "II");
  assert.equal(stripAt(paper, { x: 10, y: 55 }), null);
  assert.equal(stripAt(paper, { x: 40, y: 200 }), null);
});

test("a caliper stays on its wave when the layout changes", () => {
  const before = sheet([strip("II", { width: 62.5, durationS: 2.5 }), strip("II", { top: 160, baseline: 180 })]);
  const drawn = caliperOfDrag(before, before.strips[1], { x: 128.5, y: 180 }, { x: 148.5, y: 180 });
  assert.equal(stripOf(before, drawn), before.strips[1]);
  const layout = sheet([strip("I", { width: 125, durationS: 5 }), strip("II", { width: 125, durationS: 5, top: 80 })]);
  assert.equal(stripOf(layout, drawn), layout.strips[1]);
  near(xOf(layout, layout.strips[1], drawn.t0), 128.5);
  const elsewhere = sheet([strip("II", { startS: 10 })]);
  assert.equal(stripOf(elsewhere, drawn), null);
});

test("an interval marches to both ends of the strip in equal steps", () => {
  const paper = sheet();
  const caliper = { kind: "time", lead: "II", homeS: 0, t0: 4, t1: 5, intervals: 1 };
  assert.deepEqual(march(caliper, paper.strips[0]), [0, 1, 2, 3, 6, 7, 8, 9, 10]);
  assert.deepEqual(march({ ...caliper, t0: 5, t1: 4 }, paper.strips[0]), [0, 1, 2, 3, 6, 7, 8, 9, 10]);
  assert.equal(march({ ...caliper, t1: 4.01 }, paper.strips[0]).length, 0);
});

test("a span divided in three tells one interval and marches by it", () => {
  const caliper = { kind: "time", lead: "II", homeS: 0, t0: 1, t1: 4, intervals: 3 };
  near(reading(caliper).ms, 1000);
  assert.deepEqual(divisions(caliper), [2, 3]);
  assert.deepEqual(march(caliper, strip("II")), [0, 5, 6, 7, 8, 9, 10]);
  assert.match(readingText(caliper), /^÷3 {2}1000 ms · 60 bpm$/);
});

test("an end, or the whole, is grabbed within reach and moved by the hand", () => {
  const paper = sheet();
  const caliper = { id: 1, ...caliperOfDrag(paper, paper.strips[0], { x: 60, y: 60 }, { x: 80, y: 60 }), };
  caliper.id = 1;
  assert.equal(grabAt(paper, [caliper], { x: 60.5, y: 70 }, 1).part, "first");
  assert.equal(grabAt(paper, [caliper], { x: 79.5, y: 70 }, 1).part, "second");
  assert.equal(grabAt(paper, [caliper], { x: 70, y: 74.4 }, 1).part, "whole");
  assert.equal(grabAt(paper, [caliper], { x: 70, y: 70 }, 1), null);
  assert.equal(grabAt(paper, [caliper], { x: 60, y: 90 }, 1), null);
  near(reading(movedCaliper(paper, caliper, "second", { x: 5, y: 0 })).ms, 1000, 1e-6);
  near(reading(movedCaliper(paper, caliper, "first", { x: 5, y: 0 })).ms, 600, 1e-6);
  const whole = movedCaliper(paper, caliper, "whole", { x: 5, y: 3 });
  near(reading(whole).ms, 800, 1e-6);
  near(whole.t0 - caliper.t0, 0.2);
});

test("a highlight covers its leads and seconds only", () => {
  const paper = sheet([strip("II"), strip("III", { top: 80 }), strip("V1", { top: 120, startS: 5, durationS: 5 })]);
  const boxes = highlightBoxes(paper, { leads: ["II", "V1"], t0_s: 1, t1_s: 6 });
  assert.deepEqual(boxes, [
    { x: 53.5, y: 40, width: 125, height: 40 }, { x: 28.5, y: 120, width: 25, height: 40 }]);
  assert.equal(highlightBoxes(paper, { leads: [] }).length, 3);
  assert.equal(highlightBoxes(paper, null).length, 0);
});
