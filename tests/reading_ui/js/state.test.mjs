import assert from "node:assert/strict";
import { test } from "node:test";

import {
  actionForKey, densityKept, densityToKeep, initialState, reduce, sheetQuery,
} from "../../../reading_ui/static/ecg/state.js";

const press = (state, key, more = {}) => {
  const action = actionForKey({ key, ...more }, state);
  return action === null ? state : reduce(state, action);
};
const after = (state, ...actions) => actions.reduce(reduce, state);
const caliper = (more) => ({ id: null, kind: "time", lead: "II", homeS: 0, t0: 1, t1: 1.8, uv0: 0, uv1: 0, intervals: 1, ...more });

test("a fresh sheet asks for the usual paper", () => {
  assert.equal(sheetQuery(initialState()), "layout=3x4%2B1&speed=25&gain=10");
});

test("a choice that is not offered falls back to the usual one", () => {
  const state = initialState({ layout: "9x9", speed: NaN, gain: 7, filters: ["magic", "mains"], fit: "huge" });
  assert.equal(sheetQuery(state), "layout=3x4%2B1&speed=25&gain=10&filters=mains");
});

test("keys 1 to 4 choose the layout", () => {
  assert.deepEqual(["1", "2", "3", "4"].map((key) => press(initialState(), key).layout), ["3x4+1", "6x2", "12x1", "recorded"]);
});

test("plus and minus step the gain and stop at its ends", () => {
  let state = initialState();
  assert.equal((state = press(state, "+")).gain, 20);
  assert.equal(press(state, "=").gain, 20);
  assert.equal(press(press(press(state, "-"), "-"), "-").gain, 5);
});

test("brackets step the paper speed", () => {
  assert.equal(press(initialState(), "]").speed, 50);
  assert.equal(press(initialState(), "[").speed, 12.5);
});

test("F walks through the filters and back to none", () => {
  let state = initialState();
  const walked = [];
  for (let n = 0; n < 4; n += 1) walked.push((state = press(state, "F")).filters.join(","));
  assert.deepEqual(walked, ["baseline", "baseline,mains", "baseline,mains,muscle", ""]);
});

test("filters are asked for in one order however they were chosen", () => {
  const one = after(initialState(), { type: "filter-toggle", name: "muscle" }, { type: "filter-toggle", name: "baseline" });
  assert.match(sheetQuery(one), /filters=baseline%2Cmuscle$/);
  assert.deepEqual(reduce(one, { type: "filter-toggle", name: "muscle" }).filters, ["baseline"]);
});

test("the browser keeps its own shortcuts", () => {
  for (const held of ["ctrlKey", "altKey", "metaKey"]) {
    assert.equal(actionForKey({ key: "+", [held]: true }, initialState()), null);
  }
  assert.equal(actionForKey({ key: "toString" }, initialState()), null);
});

test("turning the page stays within the recording", () => {
  let state = after(initialState(), { type: "shown", seconds: 10, recordingS: 25 });
  const starts = [];
  for (const key of ["ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowLeft"]) {
    starts.push((state = press(state, key)).start);
  }
  assert.deepEqual(starts, [10, 15, 15, 5, 0]);
  assert.equal(actionForKey({ key: "ArrowRight" }, initialState()), null);
});

test("slower paper moves the last page back so that nothing blank is shown", () => {
  let state = after(initialState({ speed: 50 }), { type: "shown", seconds: 5, recordingS: 30 }, { type: "start", value: 25 });
  assert.equal(state.start, 25);
  state = after(state, { type: "speed", value: 25 }, { type: "shown", seconds: 10, recordingS: 30 });
  assert.equal(state.start, 20);
});

test("the arrows nudge a selected caliper instead of turning the page", () => {
  const state = after(initialState(), { type: "caliper-put", caliper: caliper() });
  assert.ok(Math.abs(press(state, "ArrowRight").calipers[0].t1 - 1.802) < 1e-9);
  assert.ok(Math.abs(press(state, "ArrowLeft", { shiftKey: true }).calipers[0].t1 - 1.79) < 1e-9);
});

test("several calipers live side by side and Escape takes the selected one first", () => {
  let state = after(initialState(), { type: "caliper-put", caliper: caliper() },
    { type: "caliper-put", caliper: caliper({ lead: "V1" }) }, { type: "caliper-put", caliper: caliper({ lead: "V2" }) });
  assert.deepEqual(state.calipers.map((each) => each.id), [1, 2, 3]);
  state = press(reduce(state, { type: "caliper-select", id: 2 }), "Escape");
  assert.deepEqual(state.calipers.map((each) => each.lead), ["II", "V2"]);
  state = press(state, "Escape");
  assert.deepEqual(state.calipers.map((each) => each.lead), ["II"]);
});

test("Escape then leaves measuring, then the highlight, then belongs to the page", () => {
  let state = after(initialState(), { type: "measure" }, { type: "highlight", value: { leads: ["II"] } });
  state = press(state, "Escape");
  assert.equal(state.measuring, false);
  state = press(state, "Escape");
  assert.equal(state.highlight, null);
  assert.equal(actionForKey({ key: "Escape" }, state), null);
});

test("a moved caliper replaces itself and keeps its number", () => {
  const state = after(initialState(), { type: "caliper-put", caliper: caliper() },
    { type: "caliper-put", caliper: caliper({ id: 1, t1: 2 }) });
  assert.deepEqual(state.calipers.map(({ id, t1 }) => [id, t1]), [[1, 2]]);
});

test("an interval is divided at least once and only in time", () => {
  let state = after(initialState(), { type: "caliper-put", caliper: caliper() });
  assert.equal(press(press(state, "."), ".").calipers[0].intervals, 3);
  assert.equal(press(state, ",").calipers[0].intervals, 1);
  state = after(initialState(), { type: "caliper-put", caliper: caliper({ kind: "amplitude" }) });
  assert.equal(press(state, ".").calipers[0].intervals, 1);
});

test("the calibrated size survives the browser's zoom", () => {
  const kept = densityToKeep(5, 1);
  assert.equal(densityKept(kept, 1), 5);
  assert.equal(densityKept(kept, 1.25), 4);
  for (const nonsense of [null, "", "NaN", "1e9", "-3"]) assert.equal(densityKept(nonsense, 1), null);
});

test("an unknown action is a fault and not silence", () => {
  assert.throws(() => reduce(initialState(), { type: "dance" }), /dance/);
});

test("no action changes the state it was given", () => {
  const state = Object.freeze(after(initialState(), { type: "caliper-put", caliper: Object.freeze(caliper()) }));
  Object.freeze(state.calipers);
  Object.freeze(state.filters);
  for (const key of ["1", "+", "]", "f", "c", "m", ".", ",", "t", "ArrowLeft", "Escape"]) press(state, key);
  assert.equal(state.calipers.length, 1);
});
