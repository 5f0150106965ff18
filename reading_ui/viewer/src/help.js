// The sheet of keys, on "?".
import { element } from './element.js';
import { KEYS, keyFor } from './keys.js';

export function help(say) {
  const rows = KEYS.filter(([, , word]) => word).map(([, command, word]) =>
    element('div.row', {}, element('kbd', { text: keyFor(command) }), element('span', { text: say(word) })),
  );
  const mouse = ['mouseLeft', 'mouseRight', 'mouseMiddle', 'mouseWheel'].map((word) => element('li', { text: say(word) }));
  const dialog = element(
    'dialog.help',
    { 'aria-label': say('helpTitle'), onclick: (event) => event.target === dialog && dialog.close() },
    element(
      'div.sheet',
      {},
      element('h2', { text: say('helpTitle') }),
      element('ul.mouse', {}, ...mouse),
      element('div.rows', {}, ...rows),
      element('button.quiet', { type: 'button', text: say('close'), onclick: () => dialog.close() }),
    ),
  );
  dialog.addEventListener('keydown', (event) => event.key === '?' && dialog.close());
  return dialog;
}
