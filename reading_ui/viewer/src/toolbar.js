// The row of buttons above the canvas.
import { element } from './element.js';
import { icon } from './icons.js';
import { keyFor } from './keys.js';

const TOOLS = ['window', 'scroll', 'pan', 'zoom'];
const MEASURES = ['length', 'angle', 'ellipse', 'rectangle', 'probe'];
const TURNS = ['rotate', 'flipH', 'flipV', 'invert', 'reset'];
const EDITS = ['undo', 'remove'];
const LAYOUTS = ['layout1', 'layout2', 'layout4'];
const VIEWS = ['mpr', 'cine', 'overlays'];
const PRESETS = ['lung', 'mediastinum', 'bone', 'brain', 'abdomen', 'acquired'];
const TOGGLES = new Set([...TOOLS, ...MEASURES, ...LAYOUTS, ...VIEWS, 'invert']);

/** { root, show(state) }: command(name) is called with the name of the button pressed. */
export function toolbar(say, command) {
  const buttons = new Map();
  const button = (name, ...content) => {
    const key = keyFor(name);
    const made = element(
      'button.tool',
      {
        type: 'button',
        'data-command': name,
        'data-tip': key ? `${say(name)}  ${key}` : say(name),
        'aria-label': say(name),
        'aria-keyshortcuts': key || undefined,
        'aria-pressed': TOGGLES.has(name) ? 'false' : undefined,
        onclick: () => command(name),
      },
      ...content,
    );
    buttons.set(name, made);
    return made;
  };
  const group = (names) => element('div.group', { role: 'group' }, ...names.map((name) => button(name, icon(name))));
  const preset = (name) => element('option', { value: name, text: `${say(name)}  ${keyFor(name)}` });
  const presets = element(
    'select.presets',
    {
      'aria-label': say('presets'),
      onchange: () => {
        command(presets.value);
        presets.value = '';
        presets.blur();
      },
    },
    element('option', { value: '', text: say('presets') }),
    ...PRESETS.map(preset),
  );
  const keyImage = button('keyImage', icon('keyImage'), element('span', { text: say('keyImage') }));
  keyImage.classList.add('worded');
  const root = element(
    'div.toolbar',
    { role: 'toolbar', 'aria-label': say('toolbar') },
    group(TOOLS),
    presets,
    group(MEASURES),
    group(EDITS),
    group(TURNS),
    group(LAYOUTS),
    group(VIEWS),
    element('div.spring'),
    keyImage,
    button('help', icon('help')),
  );
  return {
    root,
    /** pressed: names of the commands that are on; disabled: names that cannot be used now. */
    show({ pressed, disabled }) {
      for (const [name, made] of buttons) {
        if (TOGGLES.has(name)) made.setAttribute('aria-pressed', String(pressed.has(name)));
        made.disabled = disabled.has(name);
      }
      presets.disabled = disabled.has('presets');
    },
  };
}
