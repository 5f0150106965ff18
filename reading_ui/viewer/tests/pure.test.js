// The parts of the canvas that need no browser: order of images, answers taken apart, who is fetched next.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { letters, lettersInImage, opposite } from '../src/geometry.js';
import { frameFrom, isWhole } from '../src/multipart.js';
import { FrameQueue, likelyOrder } from '../src/queue.js';
import { obstacleToMpr, readStudy } from '../src/study.js';

const json = (entries) => Object.fromEntries(Object.entries(entries).map(([tag, value]) => [tag, { Value: [value].flat() }]));

function slice(number, z, more = {}) {
  return json({
    '0020000D': '1.2', '0020000E': '1.2.3', '00080018': `1.2.3.${number}`, '00080060': 'CT', '00200013': number,
    '00280010': 4, '00280011': 4, '00280100': 16, '00280101': 12, '00280103': 0, '00280004': 'MONOCHROME2',
    '00281052': -1024, '00281053': 1, '00200032': [0, 0, z], '00200037': [1, 0, 0, 0, 1, 0], '00280030': [0.5, 0.5], ...more,
  });
}
const seriesOf = (datasets) => readStudy(datasets, '/dicomweb', 'zh').series[0];

test('slices lie in the order of space, running the way their numbers run', () => {
  const series = seriesOf([slice(3, -10), slice(1, 0), slice(4, -15), slice(2, -5)]);
  assert.deepEqual(series.images.map(({ number }) => number), [1, 2, 3, 4]);
  const wrong = seriesOf([slice(1, 0), slice(2, -10), slice(3, -5), slice(4, -15)]);
  assert.deepEqual(wrong.images.map(({ position }) => position[2]), [0, -5, -10, -15]);
});

test('every frame of a multi-frame object is an image with its own address', () => {
  const series = seriesOf([slice(1, 0, { '00280008': 3 })]);
  assert.deepEqual(series.images.map(({ url }) => url.split('/').at(-1)), ['1', '2', '3']);
});

test('objects without pixels are not shown', () => {
  const report = json({ '0020000D': '1.2', '0020000E': '1.2.9', '00080018': '9', '00080060': 'SR' });
  assert.equal(readStudy([report], '/dicomweb', 'zh').series.length, 0);
});

test('a missing slice or a few images stand in the way of other planes', () => {
  const stack = (depths) => seriesOf(depths.map((z, at) => slice(at + 1, z))).images;
  assert.equal(obstacleToMpr(stack([0, 5, 10, 15, 20])), null);
  assert.equal(obstacleToMpr(stack([0, 5, 15, 20, 25])), 'mprUneven');
  assert.equal(obstacleToMpr(stack([0, 5, 10])), 'mprFewImages');
});

test('a Chinese reader is shown the ideographs of a name, an English reader the letters', () => {
  const named = { ...slice(1, 0), '00100010': { Value: [{ Alphabetic: 'Ceshi^Yi', Ideographic: '测试^一' }] } };
  assert.equal(readStudy([named], '', 'zh').patient.name, '测试一');
  assert.equal(readStudy([named], '', 'en').patient.name, 'Ceshi Yi');
});

test('letters name directions in the patient', () => {
  assert.equal(letters([1, 0, 0]), 'L');
  assert.equal(letters([0, -1, 0]), 'A');
  assert.equal(letters([0, -0.6, 0.8]), 'HA');
  assert.equal(opposite('LF'), 'RH');
  assert.equal(lettersInImage([-1, 0], ['L', 'F']), 'R');
  assert.equal(lettersInImage([0, 1], ['L', 'F']), 'F');
});

const answer = (type, bytes, boundary = 'b') =>
  new Uint8Array(Buffer.concat([Buffer.from(`--${boundary}\r\nContent-Type: ${type}\r\n\r\n`), Buffer.from(bytes), Buffer.from(`\r\n--${boundary}--\r\n`)]));

test('a frame comes out of a multipart answer byte for byte with its transfer syntax', () => {
  const bytes = [13, 10, 45, 45, 98, 0, 255, 13, 10];
  const frame = frameFrom('multipart/related; type="application/octet-stream"; boundary="b"', answer('application/octet-stream; transfer-syntax=1.2.840.10008.1.2.4.201', bytes));
  assert.deepEqual([...frame.pixels], bytes);
  assert.equal(frame.syntax, '1.2.840.10008.1.2.4.201');
});

test('an answer cut before its closing boundary is refused', () => {
  const whole = answer('application/octet-stream', [1, 2, 3, 4]);
  assert.equal(frameFrom('multipart/related; boundary=b', whole.subarray(0, whole.length - 8)), null);
});

test('a wavelet stream without its end marker and short native pixels are not whole', () => {
  const image = { rows: 2, columns: 2, samples: 1, bitsAllocated: 16, photometric: 'MONOCHROME2' };
  const syntax = '1.2.840.10008.1.2.4.201';
  assert.equal(isWhole({ pixels: Uint8Array.of(1, 2, 0xff, 0xd9), syntax }, image), true);
  assert.equal(isWhole({ pixels: Uint8Array.of(1, 2, 0xff, 0xd9, 0), syntax }, image), true);
  assert.equal(isWhole({ pixels: Uint8Array.of(1, 2, 3, 4), syntax }, image), false);
  assert.equal(isWhole({ pixels: new Uint8Array(8), syntax: '1.2.840.10008.1.2.1' }, image), true);
  assert.equal(isWhole({ pixels: new Uint8Array(7), syntax: '1.2.840.10008.1.2.1' }, image), false);
});

test('neighbours come first, three ahead for one behind, and everyone once', () => {
  assert.deepEqual(likelyOrder(8, 3, 1), [4, 5, 6, 2, 7, 1, 0]);
  assert.deepEqual(likelyOrder(4, 3, 1), [2, 1, 0]);
});

function playedQueue() {
  const started = [];
  const aborted = [];
  const ends = new Map();
  const known = new Set();
  const queue = new FrameQueue({
    parallel: 2,
    isKnown: (id) => known.has(id),
    preload: (id) => {
      known.add(id);
      queue.request(id, false).catch(() => {});
    },
    fetchFrame: (id, signal) =>
      new Promise((resolve, reject) => {
        started.push(id);
        ends.set(id, resolve);
        signal.addEventListener('abort', () => {
          aborted.push(id);
          reject(signal.reason);
        });
      }),
  });
  return { queue, started, aborted, known, end: async (id) => { ends.get(id)(id); await new Promise(setImmediate); } };
}

test('nothing is fetched ahead until the image a pane waits for has come', async () => {
  const { queue, started, known, end } = playedQueue();
  queue.need('a');
  queue.expect(['b', 'c', 'd']);
  assert.deepEqual(started, []);
  known.add('a');
  queue.request('a', true);
  assert.deepEqual(started, ['a']);
  await end('a');
  assert.deepEqual(started, ['a', 'b', 'c']);
});

test('fetches nobody expects any more are cut off', async () => {
  const { queue, started, aborted } = playedQueue();
  queue.expect(['b', 'c', 'd']);
  queue.expect(['x', 'y']);
  await new Promise(setImmediate);
  assert.deepEqual(aborted, ['b', 'c']);
  assert.deepEqual(started, ['b', 'c', 'x', 'y']);
});
