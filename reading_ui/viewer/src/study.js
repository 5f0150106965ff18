// From DICOM JSON (PS3.18 annex F) to what a reader thinks in: patient, series, images in order.
// Pure: values in, values out.
import { add, cross, dot, scale, subtract } from './geometry.js';

const value = (dataset, tag, at = 0) => dataset[tag]?.Value?.[at];
const values = (dataset, tag) => dataset[tag]?.Value ?? [];
const number = (dataset, tag) => {
  const found = value(dataset, tag);
  return found === undefined || found === null || found === '' || Number.isNaN(Number(found)) ? null : Number(found);
};
const numbers = (dataset, tag, count) => {
  const found = values(dataset, tag).map(Number);
  return found.length >= count && found.every(Number.isFinite) ? found : null;
};

/** A person's name as it is read aloud: ideographs where there are any and the reader is Chinese. */
export function personName(dataset, tag, language) {
  const name = value(dataset, tag);
  if (!name) return '';
  if (typeof name === 'string') return name.replaceAll('^', ' ').trim();
  const chosen = (language !== 'en' && name.Ideographic) || name.Alphabetic || name.Ideographic || '';
  return chosen.replaceAll('^', language !== 'en' && name.Ideographic ? '' : ' ').trim();
}

/**
 * Whether the frames have a place in space, from the plane macros of an enhanced object
 * or from the plain attributes of a single-frame one.
 */
function plane(dataset, frame) {
  const macros = [value(dataset, '52009230', frame - 1), value(dataset, '52009229')].filter(Boolean);
  const within = (sequence, tag, count) => {
    for (const macro of macros) {
      const found = macro[sequence]?.Value?.[0];
      if (found) return numbers(found, tag, count);
    }
    return numbers(dataset, tag, count);
  };
  return {
    position: within('00209113', '00200032', 3),
    orientation: within('00209116', '00200037', 6),
  };
}

/** The type that holds every value of an image after rescaling (slope, intercept). */
function heldIn(image) {
  if (image.colour) return 'Uint8Array';
  const { slope, intercept, bits, signed } = image;
  if (!Number.isInteger(slope) || !Number.isInteger(intercept)) return 'Float32Array';
  const ends = signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
  const [low, high] = ends.map((end) => end * slope + intercept).sort((a, b) => a - b);
  if (low >= 0 && high <= 255) return 'Uint8Array';
  if (low >= -32768 && high <= 32767) return 'Int16Array';
  if (low >= 0 && high <= 65535) return 'Uint16Array';
  return 'Float32Array';
}

function imagesOf(dataset, root) {
  const rows = number(dataset, '00280010');
  const columns = number(dataset, '00280011');
  if (!rows || !columns) return [];
  const study = value(dataset, '0020000D');
  const series = value(dataset, '0020000E');
  const sop = value(dataset, '00080018');
  const photometric = value(dataset, '00280004') ?? 'MONOCHROME2';
  const frames = number(dataset, '00280008') || 1;
  return Array.from({ length: frames }, (_, at) => {
    const frame = at + 1;
    const url = `${root}/studies/${study}/series/${series}/instances/${sop}/frames/${frame}`;
    return {
      imageId: `frames:${url}`,
      url,
      sopInstanceUid: sop,
      frame,
      frames,
      number: number(dataset, '00200013'),
      rows,
      columns,
      samples: number(dataset, '00280002') || 1,
      bitsAllocated: number(dataset, '00280100') || 16,
      bits: number(dataset, '00280101') || number(dataset, '00280100') || 16,
      signed: number(dataset, '00280103') === 1,
      slope: number(dataset, '00281053') ?? 1,
      intercept: number(dataset, '00281052') ?? 0,
      photometric,
      colour: !photometric.startsWith('MONOCHROME'),
      ...plane(dataset, frame),
      location: number(dataset, '00201041'),
      thickness: number(dataset, '00180050'),
      spacing: numbers(dataset, '00280030', 2),
      detectorSpacing: numbers(dataset, '00181164', 2),
      spacingCorrected: wasModified(dataset, ['00280030', '00181164']),
      patientOrientation: values(dataset, '00200020'),
      lossy: value(dataset, '00282110') === '01',
      localizer: values(dataset, '00080008').includes('LOCALIZER'),
      dataset,
    };
  });
}

/** Whether Original Attributes (0400,0561) say that one of these values is not the one that the device sent. */
const wasModified = (dataset, tags) =>
  values(dataset, '04000561').some((item) => values(item, '04000550').some((before) => tags.some((tag) => tag in before)));

/** Along the normal of their common plane where all have one, running the way the instance numbers run. */
function inOrder(images) {
  const byNumber = [...images].sort((a, b) => (a.number ?? 0) - (b.number ?? 0) || a.frame - b.frame);
  const first = images[0];
  const parallel = images.every(
    (image) => image.position && image.orientation?.every((part, at) => Math.abs(part - first.orientation[at]) < 1e-3),
  );
  if (!first.orientation || !parallel) return byNumber;
  const normal = cross(first.orientation.slice(0, 3), first.orientation.slice(3, 6));
  const depth = new Map(images.map((image) => [image, dot(image.position, normal)]));
  if (new Set([...depth.values()].map((mm) => mm.toFixed(2))).size < images.length) return byNumber;
  const falling = depth.get(byNumber[0]) > depth.get(byNumber.at(-1));
  return byNumber.sort((a, b) => (falling ? depth.get(b) - depth.get(a) : depth.get(a) - depth.get(b)));
}

/**
 * Why a series cannot be reformatted in other planes, as a key of words.js, or null where it can: at least
 * four parallel grey images of one size, evenly spaced along their normal (within a tenth of the spacing).
 */
export function obstacleToMpr(images) {
  if (images.length < 4) return 'mprFewImages';
  const first = images[0];
  if (images.some((image) => image.colour)) return 'mprColour';
  if (images.some((image) => !image.position || !image.orientation || !image.spacing)) return 'mprNoPosition';
  const alike = (image) =>
    image.rows === first.rows &&
    image.columns === first.columns &&
    image.orientation.every((part, at) => Math.abs(part - first.orientation[at]) < 1e-3);
  if (!images.every(alike)) return 'mprUneven';
  const normal = cross(first.orientation.slice(0, 3), first.orientation.slice(3, 6));
  const whole = subtract(images.at(-1).position, first.position);
  const step = scale(whole, 1 / (images.length - 1));
  const spacing = Math.hypot(...step);
  if (spacing < 1e-3 || Math.abs(Math.abs(dot(step, normal)) - spacing) > 0.1 * spacing) return 'mprUneven';
  const off = (image, at) => Math.hypot(...subtract(image.position, add(first.position, scale(step, at))));
  return images.some((image, at) => off(image, at) > 0.1 * spacing) ? 'mprUneven' : null;
}

const KEY_OBJECT = '1.2.840.10008.5.1.4.1.1.88.59';
const FEWEST_WITH_MIDDLE = 8; // slices; of fewer, the first is as good

/** The images, by SOP instance UID, that the device's own key object selections (PS3.3 A.35.4) name. */
function namedByDevice(datasets) {
  const named = new Set();
  const walk = (item) => {
    for (const one of values(item, '00081199')) named.add(value(one, '00081155'));
    for (const one of values(item, '0040A730')) walk(one);
  };
  for (const dataset of datasets) if (value(dataset, '00080016') === KEY_OBJECT) walk(dataset);
  return named;
}

/** The image to open a series with: the first that the device named, else of a stack of slices the middle one. */
function keyOf(images, named) {
  const at = images.findIndex((image) => named.has(image.sopInstanceUid));
  if (at >= 0) return at;
  const stack = images.length >= FEWEST_WITH_MIDDLE && images.every((image) => image.position && image.frames === 1);
  return stack ? Math.floor(images.length / 2) : 0;
}

/** { uid, patient, date, description, series: [{ uid, number, description, modality, images, key, named, type }] } */
export function readStudy(datasets, root, language) {
  const first = datasets[0] ?? {};
  const named = namedByDevice(datasets);
  const bySeries = new Map();
  for (const dataset of datasets) {
    const images = imagesOf(dataset, root);
    if (!images.length) continue;
    const uid = value(dataset, '0020000E');
    if (!bySeries.has(uid)) {
      bySeries.set(uid, {
        uid,
        number: number(dataset, '00200011'),
        description: value(dataset, '0008103E') ?? value(dataset, '00181030') ?? '',
        modality: value(dataset, '00080060') ?? '',
        thumbnail: `${root}/studies/${value(dataset, '0020000D')}/series/${uid}/thumbnail`,
        frameRate: number(dataset, '00180040') ?? (number(dataset, '00181063') ? 1000 / number(dataset, '00181063') : null),
        images: [],
      });
    }
    bySeries.get(uid).images.push(...images);
  }
  const series = [...bySeries.values()].sort((a, b) => (a.number ?? 1e9) - (b.number ?? 1e9));
  for (const one of series) {
    one.images = inOrder(one.images);
    one.key = keyOf(one.images, named);
    one.named = one.images.some((image) => named.has(image.sopInstanceUid));
    const types = new Set(one.images.map(heldIn));
    one.type = types.size === 1 ? [...types][0] : 'Float32Array';
    for (const image of one.images) image.type = image.colour ? 'Uint8Array' : one.type;
  }
  return {
    uid: value(first, '0020000D') ?? '',
    patient: {
      name: personName(first, '00100010', language),
      id: value(first, '00100020') ?? '',
      sex: value(first, '00100040') ?? '',
      age: value(first, '00101010') ?? '',
    },
    date: value(first, '00080020') ?? '',
    time: value(first, '00080030') ?? '',
    description: value(first, '00081030') ?? '',
    series,
  };
}

/** The series to open with: the one in which the device named an image, else the first that is not only a scout view. */
export function openingSeries(study) {
  return study.series.find((series) => series.named) ?? study.series.find((series) => !series.images.every((image) => image.localizer)) ?? study.series[0];
}
