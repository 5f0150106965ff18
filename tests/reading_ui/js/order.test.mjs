// The order form's reading of a resident number; the number below is whole by GB 11643's own arithmetic.
import assert from "node:assert/strict";
import test from "node:test";

globalThis.document = { getElementById: () => null, addEventListener: () => {} };
const { read } = await import("../../../reading_ui/static/order.js");

test("a number gives birth date and sex", () => {
  assert.deepEqual(read("53010219200508011X"), { fits: true, born: "1920-05-08", sex: "M" });
  assert.deepEqual(read(" 5301 0219 2005 0801 1x "), { fits: true, born: "1920-05-08", sex: "M" });
});

test("one wrong digit does not fit", () => {
  assert.equal(read("53010219200508021X").fits, false);
});

test("what is no number says nothing", () => {
  assert.equal(read("5301021920050801"), null);
  assert.equal(read("门诊 123"), null);
});
