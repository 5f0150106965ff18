// Which key means what on the worklist, and which row comes next. Values in, values out.

const KEYS = {
  j: "next", ArrowDown: "next", k: "previous", ArrowUp: "previous", Enter: "open", c: "claim", r: "review", n: "first",
  "/": "search", "?": "help", 1: "tab1", 2: "tab2", 3: "tab3", 4: "tab4", 5: "tab5",
};

export function commandOf({ key, ctrlKey, altKey, metaKey }) {
  if (ctrlKey || altKey || metaKey) return null;
  const name = key.length === 1 ? key.toLowerCase() : key;
  return Object.hasOwn(KEYS, name) ? KEYS[name] : null;
}

export function nextSelection(ids, selected, step) {
  if (ids.length === 0) return null;
  const at = ids.indexOf(selected);
  if (at < 0) return step > 0 ? ids[0] : ids[ids.length - 1];
  return ids[Math.min(Math.max(at + step, 0), ids.length - 1)];
}
