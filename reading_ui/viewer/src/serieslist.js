// The series of the study at the left, with a picture, how many images, and how far they are loaded.
import { element } from './element.js';

/** { root, show({ active, loaded }) }: choose(series) is called when the reader picks one. */
export function seriesList(study, say, choose) {
  const cards = study.series.map((series) => {
    const picture = element('img', { src: series.thumbnail, alt: '', loading: 'lazy', draggable: 'false' });
    picture.addEventListener('error', () => picture.replaceWith(element('div.no-picture', { text: series.modality })));
    const bar = element('div.loaded');
    const name = series.description || say('series', { n: series.number ?? '' });
    const card = element(
      'button.series',
      {
        type: 'button',
        draggable: 'true',
        'data-series-uid': series.uid,
        'aria-label': `${say('series', { n: series.number ?? '' })} ${name} ${say('images', { n: series.images.length })}`,
        onclick: () => choose(series),
        ondragstart: (event) => event.dataTransfer.setData('text/plain', series.uid),
      },
      element('div.picture', {}, picture, element('span.count', { text: String(series.images.length) })),
      element('div.name', { text: name }),
      element('div.kind', { text: [series.modality, series.number === null ? '' : `#${series.number}`].filter(Boolean).join('  ') }),
      bar,
    );
    return { series, card, bar };
  });
  const root = element('nav.series-list', { 'aria-label': say('seriesList') }, ...cards.map(({ card }) => card));
  return {
    root,
    /** active: the series in the active pane; visible: those in any; share(series): 0..1 loaded. */
    show({ active, visible, share }) {
      for (const { series, card, bar } of cards) {
        card.classList.toggle('active', series === active);
        card.classList.toggle('visible', visible.has(series));
        card.setAttribute('aria-current', String(series === active));
        bar.style.width = `${Math.round(share(series) * 100)}%`;
      }
    },
  };
}
