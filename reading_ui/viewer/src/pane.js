// One stack of images in one pane: what is shown, what is asked for, and never a silent black.
import { cache, Enums, eventTarget, utilities } from '@cornerstonejs/core';
import { element } from './element.js';
import { Failure } from './failure.js';
import { imageBehind, queue, valueAt } from './frames.js';
import { likelyOrder } from './queue.js';
import { overlay, writeCursor, writeDirections, writeImage, writeStudy } from './overlay.js';
import { attach, detach } from './tools.js';

const { Events, ViewportType } = Enums;
const { toLowHighRange, toWindowLevel } = utilities.windowLevel;
const BACKGROUND = [0, 0, 0];
const SLOW_MS = 250;

export class Pane {
  /** changed(pane): something worth redrawing outside; activated(pane): the reader turned to this pane. */
  constructor({ engine, id, number, say, changed, activated, isMarked }) {
    Object.assign(this, { engine, id, say, changed, isMarked });
    this.series = null;
    this.direction = 1;
    this.canvasBox = element('div.canvas-box', { oncontextmenu: (event) => event.preventDefault() });
    this.overlay = overlay();
    this.notice = element('div.notice', { role: 'status', hidden: true });
    this.hint = element('div.hint', { text: say('dropSeries') });
    this.root = element(
      'section.pane',
      { tabindex: '0', 'aria-label': say('canvas', { n: number }), onpointerdown: () => activated(this), onfocus: () => activated(this) },
      this.canvasBox,
      this.overlay.root,
      this.hint,
      this.notice,
    );
  }

  /** Take up room in the page: call once the root is in the document. */
  open() {
    this.engine.enableElement({
      viewportId: this.id,
      type: ViewportType.STACK,
      element: this.canvasBox,
      defaultOptions: { background: BACKGROUND },
    });
    this.viewport = this.engine.getViewport(this.id);
    attach(this.id, this.engine.id);
    this.listening = new AbortController();
    const { signal } = this.listening;
    const on = (target, event, handler) => target.addEventListener(event, handler, { signal });
    on(this.canvasBox, Events.STACK_NEW_IMAGE, () => this.arrived());
    on(this.canvasBox, Events.STACK_VIEWPORT_SCROLL, ({ detail }) => this.asked(detail.newImageIdIndex, detail.direction));
    on(this.canvasBox, Events.VOI_MODIFIED, () => this.describe());
    on(this.canvasBox, Events.CAMERA_MODIFIED, () => this.describe());
    on(this.canvasBox, Events.IMAGE_RENDERED, () => this.describe());
    on(eventTarget, Events.IMAGE_LOAD_FAILED, ({ detail }) => this.failed(detail));
    on(this.canvasBox, 'pointermove', (event) => this.point(event));
    on(this.canvasBox, 'pointerleave', () => writeCursor(this.overlay, this.shown ?? {}, null));
  }

  close() {
    this.listening?.abort();
    detach(this.id, this.engine.id);
    this.engine.disableElement(this.id);
    queue.need(null, [this.series?.images[this.wanted]?.imageId]);
    clearTimeout(this.slow);
    this.root.remove();
  }

  get count() {
    return this.series?.images.length ?? 0;
  }

  /** The image on the screen, or null before the first has come. */
  get image() {
    return this.shownId ? imageBehind(this.shownId) : null;
  }

  get index() {
    return this.image ? this.series.images.indexOf(this.image) : 0;
  }

  /** Opens a series at its key image, and fetches that one before all others. */
  async show(series, index = series.key) {
    queue.need(null, [this.series?.images[this.wanted]?.imageId]);
    this.series = series;
    this.shownId = null;
    this.shown = null;
    this.wanted = index;
    this.hint.hidden = true;
    this.overlay.root.hidden = false;
    writeStudy(this.overlay, this.study, series, this.say);
    this.asked(index, 1);
    // A failure arrives as IMAGE_LOAD_FAILED and is told there.
    await this.viewport.setStack(series.images.map((image) => image.imageId), index).catch(() => {});
  }

  /** Go to an image of the series; outside its ends, to the end. */
  go(index, direction = Math.sign(index - this.wanted) || 1) {
    if (!this.series) return;
    const to = Math.max(0, Math.min(this.count - 1, index));
    if (to === this.wanted && this.shownId) return;
    this.asked(to, direction);
    this.viewport.targetImageIdIndex = to;
    this.viewport.setImageIdIndex(to).catch(() => {});
  }

  asked(index, direction) {
    const before = this.series.images[this.wanted]?.imageId;
    this.wanted = index;
    this.direction = Math.sign(direction) || 1;
    const { imageId } = this.series.images[index];
    queue.failed.delete(imageId); // what a reader turns to is asked for again
    queue.need(imageId, before === imageId ? [] : [before]);
    queue.expect(this.expected());
    clearTimeout(this.slow);
    this.slow = setTimeout(() => this.waiting(), SLOW_MS);
    this.changed(this);
  }

  expected() {
    const { images } = this.series;
    return likelyOrder(images.length, this.wanted, this.direction).map((at) => images[at].imageId);
  }

  waiting() {
    if (!this.series || this.shownId === this.series.images[this.wanted].imageId) return;
    this.tell(element('p', { text: this.say('loadingImage', { n: this.wanted + 1 }) }), this.shownId ? 'passing' : 'covering');
  }

  arrived() {
    clearTimeout(this.slow);
    this.shownId = this.viewport.getCurrentImageId();
    const at = this.series.images.findIndex((image) => image.imageId === this.shownId);
    if (at !== this.wanted) return;
    this.notice.hidden = true;
    this.changed(this); // the words follow when it is drawn (IMAGE_RENDERED)
    queue.pump();
  }

  failed({ imageId, error }) {
    if (!this.series || this.series.images[this.wanted]?.imageId !== imageId) return;
    if (error?.name === 'AbortError') return;
    clearTimeout(this.slow);
    const failure = error instanceof Failure ? error : new Failure('undecodable', { syntax: '' });
    this.tell(
      element(
        'div',
        {},
        element('p.strong', { text: this.say('imageFailed', { n: this.wanted + 1 }) }),
        element('p', { text: this.say(failure.key, failure.values) }),
        element('button.quiet', { type: 'button', text: this.say('retry'), onclick: () => this.again() }),
      ),
      'covering failing',
    );
    this.changed(this);
  }

  again() {
    const { imageId } = this.series.images[this.wanted];
    queue.failed.delete(imageId);
    this.tell(element('p', { text: this.say('loadingImage', { n: this.wanted + 1 }) }), 'covering');
    this.viewport.setStack(this.series.images.map((image) => image.imageId), this.wanted).catch(() => {});
  }

  tell(content, manner) {
    this.notice.className = `notice ${manner}`;
    this.notice.replaceChildren(content);
    this.notice.hidden = false;
  }

  describe() {
    const { image } = this;
    if (!image) return;
    this.shown = {
      image,
      index: this.index,
      count: this.count,
      window: image.colour ? null : this.window,
      zoom: this.zoom,
      marked: this.isMarked(image),
      cursor: null,
    };
    writeImage(this.overlay, this.shown, this.say);
    writeDirections(this.overlay, this.viewport, image);
    this.changed(this);
  }

  /** { center, width } as DICOM means them (PS3.3 C.11.2.1.2). */
  get window() {
    const range = this.viewport.getProperties().voiRange;
    if (!range) return null;
    const { windowCenter, windowWidth } = toWindowLevel(range.lower, range.upper);
    return { center: windowCenter, width: windowWidth };
  }

  setWindow(center, width) {
    this.viewport.setProperties({ voiRange: toLowHighRange(width, center) });
    this.viewport.render();
  }

  /** The window the image came with. */
  resetWindow() {
    const image = cache.getImage(this.shownId);
    if (!image) return;
    this.viewport.setProperties({ voiRange: toLowHighRange(image.windowWidth, image.windowCenter) });
    this.viewport.voiUpdatedWithSetProperties = false;
    this.viewport.render();
  }

  /** Screen pixels for one image pixel. */
  get zoom() {
    const [a, b] = [this.pixelOnCanvas(0, 0), this.pixelOnCanvas(1, 0)];
    return Math.hypot(a[0] - b[0], a[1] - b[1]);
  }

  zoomBy(factor) {
    this.viewport.setZoom(this.viewport.getZoom() * factor);
    this.viewport.render();
  }

  turn(degrees) {
    const { rotation } = this.viewport.getViewPresentation();
    this.viewport.setViewPresentation({ rotation: (rotation + degrees + 360) % 360 });
    this.viewport.render();
  }

  flip(across) {
    const { flipHorizontal, flipVertical } = this.viewport.getCamera();
    this.viewport.setCamera(across ? { flipHorizontal: !flipHorizontal } : { flipVertical: !flipVertical });
    this.viewport.render();
  }

  invert() {
    this.viewport.setProperties({ invert: !this.viewport.getProperties().invert });
    this.viewport.render();
    this.changed(this);
  }

  /** The whole image in the pane, turned and flipped as it was. */
  fit() {
    if (!this.image) return;
    const { rotation, flipHorizontal, flipVertical } = this.viewport.getViewPresentation();
    this.viewport.resetCamera();
    this.viewport.setViewPresentation({ rotation, flipHorizontal, flipVertical });
    this.viewport.render();
  }

  get isFitted() {
    return !this.image || Math.abs(this.viewport.getZoom() - 1) < 0.01;
  }

  reset() {
    this.viewport.resetCamera();
    this.viewport.setProperties({ invert: this.image?.photometric === 'MONOCHROME1' });
    this.resetWindow();
  }

  /** CSS pixels within the pane of the middle of image pixel (x, y). */
  pixelOnCanvas(x, y) {
    const data = this.viewport.getImageData();
    return data ? this.viewport.worldToCanvas(data.imageData.indexToWorld([x, y, 0])) : [0, 0];
  }

  /** Image column and row (whole numbers) under a point of the pane. */
  canvasOnPixel(point) {
    const data = this.viewport.getImageData();
    if (!data) return null;
    const [x, y] = data.imageData.worldToIndex(this.viewport.canvasToWorld(point));
    return [Math.round(x), Math.round(y)];
  }

  point(event) {
    if (!this.shown) return;
    const box = this.canvasBox.getBoundingClientRect();
    const at = this.canvasOnPixel([event.clientX - box.left, event.clientY - box.top]);
    const value = at && valueAt(this.shownId, ...at);
    const unit = this.series.modality === 'CT' ? 'HU' : '';
    this.shown.cursor = value === null || !at ? null : { x: at[0], y: at[1], value, unit };
    writeCursor(this.overlay, this.shown, this.shown.cursor);
  }
}
