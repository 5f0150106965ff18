// The words at the edges of a pane: who, what, where, how it is shown.
import { element } from './element.js';
import { letters, lettersInImage, subtract } from './geometry.js';

const trimmed = (number, digits) => String(Number(number.toFixed(digits)));

const day = (date) => (/^\d{8}$/.test(date) ? `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}` : date);
const clock = (time) => (/^\d{4}/.test(time) ? `${time.slice(0, 2)}:${time.slice(2, 4)}` : '');

function personLine(patient, say) {
  const sex = { M: say('male'), F: say('female') }[patient.sex] ?? '';
  const age = /^(\d+)Y$/.exec(patient.age) ? say('years', { n: Number.parseInt(patient.age, 10) }) : patient.age;
  return [patient.id, sex, age].filter(Boolean).join('  ');
}

export function overlay() {
  const corner = (where) => element(`div.corner.${where}`);
  const edge = (where) => element(`div.edge.${where}`, { 'aria-hidden': 'true' });
  const parts = {
    who: corner('top-left'),
    what: corner('top-right'),
    where: corner('bottom-left'),
    how: corner('bottom-right'),
    left: edge('at-left'),
    right: edge('at-right'),
    top: edge('at-top'),
    bottom: edge('at-bottom'),
  };
  return { root: element('div.overlay', {}, ...Object.values(parts)), parts };
}

const lines = (box, texts) => {
  const wanted = texts.filter(Boolean);
  while (box.children.length > wanted.length) box.lastChild.remove();
  wanted.forEach((text, at) => {
    const line = box.children[at] ?? box.appendChild(element('div'));
    if (line.textContent !== text) line.textContent = text;
  });
};

export function writeStudy({ parts }, study, series, say) {
  lines(parts.who, [study.patient.name, personLine(study.patient, say)]);
  lines(parts.what, [
    [day(study.date), clock(study.time)].filter(Boolean).join(' '),
    study.description,
    [series.modality, say('series', { n: series.number ?? '' })].join('  '),
    series.description,
  ]);
}

export function writeImage({ parts }, shown, say) {
  const { image, index, count, window, zoom, marked } = shown;
  const depth = image.position ? image.location ?? image.position[2] : image.location;
  const frame = image.frames > 1 ? `  ${say('frame', { n: image.frame })}` : '';
  lines(parts.where, [
    marked && `★ ${say('marked')}`,
    say('image', { i: index + 1, n: count }) + frame,
    [
      depth !== null && say('position', { mm: trimmed(depth, 1) }),
      image.thickness && say('thickness', { mm: trimmed(image.thickness, 2) }),
    ]
      .filter(Boolean)
      .join('  '),
    image.lossy && say('lossy'),
    image.spacingCorrected && say('spacingCorrected'),
  ]);
  shown.lines = [
    window && say('windowLine', { w: Math.round(window.width), c: Math.round(window.center) }),
    say('zoomLine', { z: zoom.toFixed(2) }),
  ];
  writeCursor({ parts }, shown, shown.cursor);
}

/** cursor: { x, y, value, unit } under the mouse, or null. */
export function writeCursor({ parts }, shown, cursor) {
  const value = cursor && [cursor.value].flat().map((part) => trimmed(part, 1)).join(', ');
  lines(parts.how, [
    cursor && `(${cursor.x}, ${cursor.y})  ${value}${cursor.unit ? ` ${cursor.unit}` : ''}`,
    ...(shown.lines ?? []),
  ]);
}

/** Which way the patient lies: from where the pane's edges are in space, or from Patient Orientation. */
export function writeDirections({ parts }, viewport, image) {
  const { clientWidth: width, clientHeight: height } = viewport.element;
  const middle = viewport.canvasToWorld([width / 2, height / 2]);
  if (!middle) return; // nothing drawn yet
  const right = subtract(viewport.canvasToWorld([width, height / 2]), middle);
  const down = subtract(viewport.canvasToWorld([width / 2, height]), middle);
  const back = (direction) => direction.map((part) => -part);
  let name;
  if (!image || image.orientation) name = letters;
  else if (image.patientOrientation.length === 2) name = (direction) => lettersInImage(direction, image.patientOrientation);
  else name = () => '';
  parts.right.textContent = name(right);
  parts.left.textContent = name(back(right));
  parts.bottom.textContent = name(down);
  parts.top.textContent = name(back(down));
}
