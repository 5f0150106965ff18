// Frames from the hub to Cornerstone: fetched by our queue (priorities, cancellation, honest errors),
// checked for completeness, decoded by the DICOM image loader's worker.
import { cache, Enums, imageLoader, metaData } from '@cornerstonejs/core';
import { createImage, init as initDecoders, wadors } from '@cornerstonejs/dicom-image-loader';
import { Failure, failureOf } from './failure.js';
import { frameFrom, isWhole } from './multipart.js';
import { FrameQueue } from './queue.js';

const ACCEPT = 'multipart/related; type="application/octet-stream"; transfer-syntax=*';

const images = new Map(); // imageId → image of study.js
let usesCpu = false;

async function fetchFrame(imageId, signal) {
  const image = images.get(imageId);
  let response;
  let body;
  try {
    response = await fetch(image.url, { headers: { Accept: ACCEPT }, credentials: 'same-origin', signal });
    const failure = failureOf(response);
    if (failure) throw failure;
    body = new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    if (error.name === 'AbortError' || error instanceof Failure) throw error;
    throw new Failure('network', {}, { again: true });
  }
  const frame = frameFrom(response.headers.get('content-type') ?? '', body);
  if (!frame || !isWhole(frame, image)) throw new Failure('truncated');
  return decoded(image, frame);
}

async function decoded(image, { pixels, syntax }) {
  let made;
  try {
    made = await createImage(image.imageId, pixels, syntax, {
      useRGBA: usesCpu,
      preScale: { enabled: true },
      targetBuffer: image.colour ? undefined : { type: image.type },
    });
  } catch {
    throw new Failure('undecodable', { syntax });
  }
  if (made.rows !== image.rows || made.columns !== image.columns) throw new Failure('truncated');
  made.transferSyntaxUID = syntax;
  return made;
}

export const queue = new FrameQueue({
  fetchFrame,
  preload: (imageId) => imageLoader.loadAndCacheImage(imageId, { requestType: Enums.RequestType.Prefetch }).catch(() => {}),
  isKnown: (imageId) => Boolean(cache.getImageLoadObject(imageId)),
});

/** The image of study.js behind an imageId. */
export const imageBehind = (imageId) => images.get(imageId);

/**
 * The value at column x, row y: HU or the rescaled value for grey images, [r, g, b] for colour ones, null
 * outside the image or where it is not loaded.
 */
export function valueAt(imageId, x, y) {
  const image = cache.getImage(imageId);
  if (!image || x < 0 || y < 0 || x >= image.columns || y >= image.rows) return null;
  const pixels = image.voxelManager.getScalarData();
  const at = Math.floor(y) * image.columns + Math.floor(x);
  if (image.color) {
    const parts = pixels.length / (image.rows * image.columns);
    return Array.from(pixels.slice(at * parts, at * parts + 3));
  }
  if (image.preScale?.scaled) return pixels[at];
  return pixels[at] * (image.slope ?? 1) + (image.intercept ?? 0);
}

// Radiographs often carry only the spacing at the detector (0018,1164); lengths then hold for that plane
// and say so. Images without any spacing are measured in pixels, never in a made-up millimetre.
function planeProvider(type, imageId) {
  const image = images.get(imageId);
  if (type !== Enums.MetadataModules.IMAGE_PLANE || !image || image.spacing) return undefined;
  const given = wadors.metaData.metaDataProvider(type, imageId);
  const [row, column] = image.detectorSpacing ?? [null, null];
  return { ...given, pixelSpacing: image.detectorSpacing, rowPixelSpacing: row, columnPixelSpacing: column };
}

/** Make a study's images known to Cornerstone. cpu: whether pixels are drawn without WebGL. */
export function openFrames(study, { cpu }) {
  usesCpu = cpu;
  initDecoders({ maxWebWorkers: Math.min(4, Math.max(1, Math.floor((navigator.hardwareConcurrency ?? 2) / 2))) });
  imageLoader.registerImageLoader('frames', (imageId, options = {}) => ({
    promise: queue.request(imageId, options.requestType === Enums.RequestType.Interaction),
  }));
  // Cornerstone's cache passes a failed load on to nobody as well; the pane that waits has told the reader.
  window.addEventListener('unhandledrejection', (event) => {
    if (event.reason instanceof Failure || event.reason?.name === 'AbortError') event.preventDefault();
  });
  metaData.addProvider(planeProvider, 20000);
  for (const series of study.series) {
    for (const image of series.images) {
      images.set(image.imageId, image);
      wadors.metaDataManager.add(image.imageId, image.dataset);
    }
  }
}
