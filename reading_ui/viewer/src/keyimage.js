// Marking the image on the screen as a key image, with the window it is seen in and a caption.
import { element } from './element.js';
import { Failure, failureOf } from './failure.js';

/** POST one key image. Resolves when the hub has it, rejects with a Failure. */
export async function saveKeyImage({ url, csrf }, keyImage) {
  let response;
  try {
    response = await fetch(url, {
      method: 'POST',
      credentials: 'same-origin',
      headers: { 'Content-Type': 'application/json', 'X-CSRFToken': csrf },
      body: JSON.stringify(keyImage),
    });
  } catch {
    throw new Failure('network', {}, { again: true });
  }
  const failure = failureOf(response);
  if (failure) throw failure;
  document.dispatchEvent(new Event('hub:key-image')); // the report beside the canvas shows it at once
}

/**
 * A small form over the canvas. open(describe, title): describe() gives the key image without its caption.
 * What was typed stays until it is saved or put away.
 */
export function keyImageForm(say, address, saved) {
  const caption = element('input', { type: 'text', maxlength: '200', 'aria-label': say('caption'), placeholder: say('caption') });
  const trouble = element('p.trouble', { role: 'alert', hidden: true });
  const title = element('h2');
  const save = element('button.primary', { type: 'submit', text: say('save') });
  let described;
  const form = element(
    'form',
    {
      onsubmit: async (event) => {
        event.preventDefault();
        save.disabled = true;
        save.textContent = say('saving');
        trouble.hidden = true;
        try {
          await saveKeyImage(address, { ...described, caption: caption.value.trim() });
          caption.value = '';
          dialog.close();
          saved(described);
        } catch (error) {
          trouble.textContent = say('keyImageFailed', { why: say(error.key, error.values) });
          trouble.hidden = false;
        } finally {
          save.disabled = false;
          save.textContent = say('save');
        }
      },
    },
    title,
    caption,
    trouble,
    element('div.buttons', {}, element('button.quiet', { type: 'button', text: say('cancel'), onclick: () => dialog.close() }), save),
  );
  const dialog = element('dialog.key-image', { 'aria-label': say('keyImage') }, form);
  return {
    root: dialog,
    open(keyImage, heading) {
      described = keyImage;
      title.textContent = heading;
      trouble.hidden = true;
      dialog.showModal();
      caption.focus();
    },
  };
}
