// The words of the scripts: Chinese in the source; an English page brings the translations with it.

let known = null;

export function _(message, values = {}) {
  if (known === null) known = JSON.parse(document.body.dataset.words || "{}");
  const words = known[message] ?? message;
  return words.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}
