// The canvas proper: Cornerstone, the panes and every command. Loaded after the page already shows
// the series list.
import {
  cache,
  Enums,
  eventTarget,
  getShouldUseCPURendering,
  init as initCore,
  RenderingEngine,
  setUseCPURendering,
} from '@cornerstonejs/core';
import { element } from './element.js';
import { imageBehind, openFrames, queue, valueAt } from './frames.js';
import { Pane } from './pane.js';
import { abandon, choose, measurements, openTools, redraw, removeMeasurement, TOOLS, undo } from './tools.js';
import { obstacleToMpr, openingSeries } from './study.js';

const { Events } = Enums;
const CACHE_BYTES = 2.5 * 1024 ** 3;
const LAYOUTS = { layout1: 1, layout2: 2, layout4: 4 };

/** CT windows: [width, centre] in HU. */
export const PRESETS = {
  lung: [1500, -600],
  mediastinum: [400, 40],
  bone: [2000, 500],
  brain: [80, 40],
  abdomen: [350, 50],
};

function webglWorks() {
  try {
    const context = document.createElement('canvas').getContext('webgl2');
    context?.getExtension('WEBGL_lose_context')?.loseContext();
    return Boolean(context);
  } catch {
    return false;
  }
}

export class ReadingCanvas {
  /** study of study.js; area: where the panes go; changed(): redraw what stands around; toast(text, kind). */
  constructor({ study, area, say, changed, toast, marked = [] }) {
    Object.assign(this, { study, area, say, changed, toast });
    this.marked = new Set(marked); // "SOP instance UID#frame" of key images that the hub has
    this.tool = 'window';
    this.grid = element('div.panes');
    area.append(this.grid);
    this.panes = [];
    this.loaded = new Set();
  }

  async open() {
    const cpu = !webglWorks();
    if (cpu) setUseCPURendering(true, false);
    initCore({ rendering: { useCPURendering: cpu, webGlContextCount: 1 } });
    cache.setMaxCacheSize(CACHE_BYTES);
    openFrames(this.study, { cpu });
    openTools(this.say);
    this.engine = new RenderingEngine('reading');
    eventTarget.addEventListener(Events.IMAGE_LOADED, ({ detail }) => this.note(detail.image.imageId, true));
    eventTarget.addEventListener(Events.IMAGE_CACHE_IMAGE_REMOVED, ({ detail }) => this.note(detail.imageId, false));
    eventTarget.addEventListener(Events.IMAGE_LOAD_FAILED, () => this.changed());
    new ResizeObserver(() => this.resized()).observe(this.area);
    this.area.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    this.layOut('layout1');
    const series = openingSeries(this.study);
    if (series) await this.active.show(series);
  }

  get cpu() {
    return getShouldUseCPURendering();
  }

  note(imageId, isLoaded) {
    if (isLoaded) this.loaded.add(imageId);
    else this.loaded.delete(imageId);
    this.changed();
  }

  share(series) {
    return series.images.filter(({ imageId }) => this.loaded.has(imageId)).length / series.images.length;
  }

  resized() {
    clearTimeout(this.resizing);
    this.resizing = setTimeout(() => this.takeRoom(), 60);
  }

  /** The panes have another size: what filled its pane fills it again, what was zoomed stays zoomed. */
  takeRoom() {
    const fitted = this.panes.filter((pane) => pane.isFitted);
    this.engine.resize(true, true);
    for (const pane of fitted) pane.fit();
  }

  layOut(name) {
    this.leaveMpr();
    this.layout = name;
    this.grid.className = `panes ${name}`;
    const wanted = LAYOUTS[name];
    while (this.panes.length > wanted) this.panes.pop().close();
    while (this.panes.length < wanted) this.addPane();
    if (!this.panes.includes(this.active)) this.activate(this.panes[0]);
    this.takeRoom();
    this.fillEmpty();
    this.expect();
  }

  addPane() {
    const number = this.panes.length + 1;
    const pane = new Pane({
      engine: this.engine,
      id: `pane-${number}`,
      number,
      say: this.say,
      changed: () => this.changed(),
      activated: (one) => this.activate(one),
      isMarked: (image) => this.marked.has(`${image.sopInstanceUid}#${image.frame}`),
    });
    pane.study = this.study;
    pane.root.addEventListener('dragover', (event) => event.preventDefault());
    pane.root.addEventListener('drop', (event) => {
      event.preventDefault();
      const series = this.study.series.find(({ uid }) => uid === event.dataTransfer.getData('text/plain'));
      if (series) pane.show(series);
    });
    this.panes.push(pane);
    this.grid.append(pane.root);
    pane.open();
  }

  /** New panes take the series that are not on the screen yet. */
  fillEmpty() {
    if (!this.active.series) return;
    for (const pane of this.panes.filter(({ series }) => !series)) {
      const next = this.study.series.find((series) => this.panes.every((other) => other.series !== series));
      if (!next) return;
      pane.show(next);
    }
  }

  activate(pane) {
    if (this.active === pane) return;
    this.active = pane;
    for (const one of this.panes) one.root.classList.toggle('active', one === pane);
    this.expect();
    this.changed();
  }

  /** Ahead of need: the active pane's series around its image, then the other panes', within the cache. */
  expect() {
    const order = [this.active, ...this.panes.filter((pane) => pane !== this.active)].filter((pane) => pane?.series);
    const ids = order.flatMap((pane) => pane.expected());
    const first = order[0]?.series.images[0];
    if (!first) return;
    const most = Math.floor((0.8 * CACHE_BYTES) / (first.rows * first.columns * (first.colour ? 4 : 2)));
    queue.expect(ids.slice(0, most));
  }

  showSeries(series) {
    this.leaveMpr();
    this.stopCine();
    if (this.active.series === series) return;
    this.active.show(series).then(() => this.expect());
  }

  stepSeries(by) {
    const at = this.study.series.indexOf(this.active.series) + by;
    if (this.study.series[at]) this.showSeries(this.study.series[at]);
  }

  wheel(event) {
    event.preventDefault();
    const pane = this.panes.find(({ root }) => root.contains(event.target));
    if (!pane?.series || this.mpr) return;
    this.activate(pane);
    if (event.ctrlKey) {
      pane.zoomBy(event.deltaY < 0 ? 1.1 : 1 / 1.1);
      return;
    }
    // Trackpads send many small steps; one image for each 40 pixels or each notch.
    this.turned = (this.turned ?? 0) + (event.deltaMode === 0 ? event.deltaY / (Math.abs(event.deltaY) >= 50 ? Math.abs(event.deltaY) : 40) : Math.sign(event.deltaY));
    const steps = Math.trunc(this.turned);
    if (!steps) return;
    this.turned -= steps;
    pane.go(pane.wanted + steps, steps);
  }

  setPreset(name) {
    if (this.active.series?.modality !== 'CT') {
      this.toast(this.say('presetsCtOnly'));
      return;
    }
    const [width, center] = PRESETS[name];
    (this.mpr ?? this.active).setWindow(center, width);
  }

  chooseTool(name) {
    this.tool = name;
    choose(name);
    this.changed();
  }

  toggleCine() {
    if (this.cine) {
      this.stopCine();
      return;
    }
    const pane = this.active;
    if (pane.count < 2) return;
    const rate = Math.min(30, Math.max(1, pane.series.frameRate ?? 10));
    this.cine = setInterval(() => {
      const next = (pane.wanted + 1) % pane.count;
      // Waits for what has not come yet instead of leaping over it.
      if (pane.shownId === pane.series.images[pane.wanted].imageId) pane.go(next, 1);
    }, 1000 / rate);
    this.changed();
  }

  stopCine() {
    clearInterval(this.cine);
    this.cine = null;
    this.changed();
  }

  async toggleMpr() {
    if (this.mpr || this.mprOpening) {
      this.leaveMpr();
      return;
    }
    const { series } = this.active;
    const why = this.cpu ? 'cpuRendering' : series && obstacleToMpr(series.images);
    if (!series || why) {
      if (why) this.toast(this.cpu ? this.say(why) : this.say('mprImpossible', { why: this.say(why) }));
      return;
    }
    this.stopCine();
    const opening = {};
    this.mprOpening = opening;
    this.changed();
    let mpr;
    try {
      const [{ Mpr }] = await Promise.all([import('./mpr.js'), this.allLoaded(series, opening)]);
      if (this.mprOpening !== opening) return;
      this.grid.hidden = true;
      mpr = new Mpr({ engine: this.engine, say: this.say, changed: () => this.changed() });
      this.area.append(mpr.root);
      await mpr.open(series, this.active.window);
      this.mpr = mpr;
    } catch (error) {
      mpr?.close();
      this.grid.hidden = false;
      this.toast(this.say('mprImpossible', { why: this.say(error.key ?? 'mprFailed') }), 'trouble');
      if (!error.key) console.warn('MPR', error);
    } finally {
      if (this.mprOpening === opening) this.mprOpening = null;
      this.changed();
    }
  }

  /** Resolves when every image of the series is in the cache; rejects where one cannot be loaded. */
  allLoaded(series, opening) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const missing = series.images.filter(({ imageId }) => !cache.isLoaded(imageId));
        const failed = missing.some(({ imageId }) => queue.failed.has(imageId));
        const leave = (how) => {
          clearInterval(timer);
          how();
        };
        if (this.mprOpening !== opening || !missing.length) leave(resolve);
        else if (failed) leave(() => reject(Object.assign(new Error('mprMissing'), { key: 'mprMissing' })));
        else opening.done = series.images.length - missing.length;
      };
      const timer = setInterval(look, 100);
      look();
    });
  }

  leaveMpr() {
    this.mprOpening = null;
    if (!this.mpr) return;
    this.mpr.close();
    this.mpr = null;
    this.grid.hidden = false;
    this.takeRoom();
    for (const pane of this.panes) pane.viewport.render();
    this.changed();
  }

  planeInFocus() {
    return this.mpr.planes.find(({ root }) => root.contains(document.activeElement));
  }

  /** What is marked: the image on the screen as it is seen now, or null. */
  describeKeyImage() {
    const { image, window } = this.active;
    if (this.mpr || !image) return null;
    return {
      sop_instance_uid: image.sopInstanceUid,
      frame: image.frame,
      window_center: window?.center ?? null,
      window_width: window?.width ?? null,
      invert: Boolean(this.active.viewport.getProperties().invert),
    };
  }

  mark() {
    const { image } = this.active;
    this.marked.add(`${image.sopInstanceUid}#${image.frame}`);
    this.active.describe();
  }

  removeMeasurement() {
    if (!removeMeasurement(this.active.shownId, this.active.canvasBox)) this.toast(this.say('nothingToRemove'));
    this.redraw();
  }

  undo() {
    undo();
    this.redraw();
  }

  redraw() {
    redraw(this.panes.map(({ id }) => id));
  }

  abandon() {
    abandon(this.active.canvasBox);
    this.redraw();
  }

  isTool(name) {
    return name in TOOLS;
  }

  /** Everything a test or the page may ask about what is on the screen. */
  state() {
    const { active, mpr } = this;
    const { image, series } = active;
    const shown = Boolean(image) && active.wanted === active.index && active.notice.hidden;
    const window = mpr?.window ?? (image && !image.colour ? active.window : null);
    const camera = image ? active.viewport.getCamera() : {};
    return {
      studyUid: this.study.uid,
      seriesUid: series?.uid ?? null,
      sopInstanceUid: image?.sopInstanceUid ?? null,
      frame: image?.frame ?? null,
      imageIndex: active.index,
      wantedIndex: active.wanted ?? 0,
      imageCount: active.count,
      shown,
      loaded: series ? series.images.filter(({ imageId }) => this.loaded.has(imageId)).length : 0,
      failed: series ? series.images.filter(({ imageId }) => queue.failed.has(imageId)).length : 0,
      windowCenter: window?.center ?? null,
      windowWidth: window?.width ?? null,
      invert: image ? Boolean(active.viewport.getProperties().invert) : false,
      zoom: image ? active.zoom : null,
      rotation: image ? active.viewport.getViewPresentation().rotation : 0,
      flipHorizontal: Boolean(camera.flipHorizontal),
      flipVertical: Boolean(camera.flipVertical),
      tool: this.tool,
      layout: this.layout,
      cine: Boolean(this.cine),
      mpr: { opening: Boolean(this.mprOpening), open: Boolean(mpr?.ready), planes: mpr?.ready ? mpr.planes.map(({ name }) => name) : [] },
      rendering: this.cpu ? 'cpu' : 'gpu',
      transferSyntaxUid: image ? (cache.getImage(image.imageId)?.transferSyntaxUID ?? null) : null,
    };
  }

  pixelAt(x, y) {
    return this.active.shownId ? valueAt(this.active.shownId, x, y) : null;
  }

  /** Where on the page the middle of an image pixel is: { x, y } in CSS pixels of the window. */
  pagePoint(x, y) {
    const box = this.active.canvasBox.getBoundingClientRect();
    const [left, top] = this.active.pixelOnCanvas(x, y);
    return { x: box.left + left, y: box.top + top };
  }

  measurements() {
    return measurements().map(({ imageId, ...rest }) => ({ ...rest, sopInstanceUid: imageBehind(imageId)?.sopInstanceUid ?? null }));
  }
}
