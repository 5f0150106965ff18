// Which key does what: one table for the keyboard and for the help page.
export const KEYS = [
  // [keys, command, word of words.js]
  [['ArrowUp', 'ArrowLeft'], 'previous', 'keyScroll', '↑ ↓ ← →'],
  [['ArrowDown', 'ArrowRight'], 'next', null],
  [['PageUp'], 'tenBack', 'keyScrollTen', 'PgUp PgDn'],
  [['PageDown'], 'tenOn', null],
  [['Home'], 'first', 'keyScrollEnds', 'Home End'],
  [['End'], 'last', null],
  [['['], 'previousSeries', 'keySeries', '[ ]'],
  [[']'], 'nextSeries', null],
  [['1'], 'lung', 'lung'],
  [['2'], 'mediastinum', 'mediastinum'],
  [['3'], 'bone', 'bone'],
  [['4'], 'brain', 'brain'],
  [['5'], 'abdomen', 'abdomen'],
  [['0'], 'acquired', 'acquired'],
  [['i'], 'invert', 'invert'],
  [['w'], 'window', 'window'],
  [['s'], 'scroll', 'scroll'],
  [['p'], 'pan', 'pan'],
  [['z'], 'zoom', 'zoom'],
  [['l'], 'length', 'length'],
  [['a'], 'angle', 'angle'],
  [['e'], 'ellipse', 'ellipse'],
  [['q'], 'rectangle', 'rectangle'],
  [['b'], 'probe', 'probe'],
  [['Delete', 'Backspace'], 'remove', 'remove', 'Del'],
  [['ctrl+z'], 'undo', 'undo', 'Ctrl+Z'],
  [['r'], 'rotate', 'rotate'],
  [['shift+r'], 'rotateBack', 'rotateBack', 'Shift+R'],
  [['h'], 'flipH', 'flipH'],
  [['v'], 'flipV', 'flipV'],
  [['+', '='], 'larger', 'zoom', '+ −'],
  [['-'], 'smaller', null],
  [['f'], 'fit', 'fit'],
  [['x'], 'reset', 'reset'],
  [['m'], 'mpr', 'mpr'],
  [['c'], 'cine', 'cine'],
  [['7'], 'layout1', 'layout1'],
  [['8'], 'layout2', 'layout2'],
  [['9'], 'layout4', 'layout4'],
  [['t'], 'overlays', 'overlays'],
  [['k'], 'keyImage', 'keyImage'],
  [['?'], 'help', 'help'],
  [['Escape'], 'leave', null],
];

const COMMANDS = new Map(KEYS.flatMap(([keys, command]) => keys.map((key) => [key, command])));

/** The keys that stand beside a command, for tooltips: 'W', 'Shift+R'. */
export function keyFor(command) {
  const row = KEYS.find(([, name, word]) => name === command && word);
  if (!row) return '';
  return row[3] ?? (row[0][0].length === 1 ? row[0][0].toUpperCase() : row[0][0]);
}

/** The command a key press stands for, or undefined. Letters typed through an input method count by position. */
export function commandOf(event) {
  if (event.altKey || event.metaKey) return undefined;
  let key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (key === 'Process' && /^Key[A-Z]$/.test(event.code)) key = event.code.at(-1).toLowerCase();
  if (event.ctrlKey) return COMMANDS.get(`ctrl+${key}`);
  return (event.shiftKey && COMMANDS.get(`shift+${key}`)) || COMMANDS.get(key);
}

/** Whether the key press belongs to a field the reader is typing in, or to another part of the page. */
export function belongsElsewhere(event, root) {
  const { target } = event;
  if (!(target instanceof Element) || target === document.body || target === document.documentElement) return false;
  if (target.closest('input, textarea, select, [contenteditable=""], [contenteditable="true"], dialog')) return true;
  return !root.contains(target) && !target.contains(root); // the page around the canvas is nobody else's
}
