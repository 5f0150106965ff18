// Words into a field: templates, phrases, and the next 【】 that waits for the reader.

// What a template makes of the present content; replaces: whether written words would go.
export function fillTemplate(content, template) {
  const written = ["findings", "impression"].some((name) => content[name].trim() && content[name] !== template[name]);
  return {
    replaces: written,
    content: { findings: template.findings, impression: template.impression, recommendation: template.recommendation, template_id: template.id },
  };
}

// Puts text where the caret stands, keeping the browser's undo where it can.
export function insertText(field, text) {
  field.focus();
  const before = field.value.slice(0, field.selectionStart);
  const piece = before && !/[\s，。；：、（]$/.test(before) ? `\n${text}` : text;
  if (!document.execCommand("insertText", false, piece)) field.setRangeText(piece, field.selectionStart, field.selectionEnd, "end");
}

// Selects the next 【...】 after the caret (then from the start); false where there is none.
export function nextGap(field) {
  const gap = /【[^】]*】/g;
  gap.lastIndex = field.selectionEnd ?? 0;
  const found = gap.exec(field.value) ?? new RegExp(gap.source).exec(field.value);
  if (!found) return false;
  field.focus();
  field.setSelectionRange(found.index, found.index + found[0].length);
  return true;
}
