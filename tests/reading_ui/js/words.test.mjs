import assert from "node:assert/strict";
import { test } from "node:test";

import { wordsFor } from "../../../reading_ui/static/ecg/words.js";

test("Chinese is spoken unless the page is English", () => {
  assert.equal(wordsFor("zh-CN").measure, "分规");
  assert.equal(wordsFor("").measure, "分规");
  assert.equal(wordsFor("en-GB").measure, "Calipers");
});

test("both languages name the same controls", () => {
  assert.deepEqual(Object.keys(wordsFor("zh")).sort(), Object.keys(wordsFor("en")).sort());
});

test("the page's own words win, and nothing but text gets in", () => {
  const words = wordsFor("zh", { measure: "卡尺", march: 5, __proto__: { clear: "x" }, unknown: "y" });
  assert.equal(words.measure, "卡尺");
  assert.equal(words.march, "等距推移");
  assert.equal(words.unknown, undefined);
});
