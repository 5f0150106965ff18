// Entry of the image reading canvas. The page holds
//   <div id="viewer" data-study-uid data-dicomweb-root data-key-image-url data-csrf data-language="zh|en"
//        data-marked="SOP-instance-UID#frame ...">
// and this module fills it: first the frame and the series list, then the canvas.
// For tests and the page: window.hubViewer = { ready, state(), pixelAt(x, y), pagePoint(x, y), measurements() }.
import './viewer.css';
import { element } from './element.js';
import { Failure, failureOf } from './failure.js';
import { help } from './help.js';
import { keyImageForm } from './keyimage.js';
import { belongsElsewhere, commandOf } from './keys.js';
import { seriesList } from './serieslist.js';
import { readStudy } from './study.js';
import { toolbar } from './toolbar.js';
import { speak } from './words.js';

const TOAST_MS = 4000;

async function fetchStudy(root, uid, language) {
  let response;
  try {
    response = await fetch(`${root}/studies/${uid}/metadata`, {
      headers: { Accept: 'application/dicom+json' },
      credentials: 'same-origin',
    });
  } catch {
    throw new Failure('network');
  }
  const failure = failureOf(response);
  if (failure) throw failure;
  return readStudy(response.status === 204 ? [] : await response.json(), root, language);
}

class Viewer {
  constructor(root) {
    this.root = root;
    const { studyUid, dicomwebRoot, keyImageUrl, csrf, language, marked } = root.dataset;
    this.marked = marked ? marked.split(' ') : [];
    this.language = language === 'en' ? 'en' : 'zh';
    this.say = speak(this.language);
    this.dicomwebRoot = (dicomwebRoot ?? '/dicomweb').replace(/\/$/, '');
    this.studyUid = studyUid;
    this.toolbar = toolbar(this.say, (command) => this.run(command));
    this.help = help(this.say);
    this.keyImage = keyImageForm(this.say, { url: keyImageUrl, csrf }, () => this.keyImageSaved());
    this.area = element('main.area');
    this.toastBox = element('div.toast', { role: 'status', 'aria-live': 'polite', hidden: true });
    this.progressText = element('span.progress-text');
    this.progressBar = element('div.progress-bar');
    this.status = element('footer.status', {}, element('div.progress', { 'aria-hidden': 'true' }, this.progressBar), this.progressText);
    root.classList.add('hub-viewer');
    root.lang = this.language === 'zh' ? 'zh-CN' : 'en';
    this.body = element('div.body', {}, this.area);
    root.replaceChildren(this.toolbar.root, this.body, this.status, this.toastBox, this.help, this.keyImage.root);
    this.refresh();
  }

  async open() {
    this.sentence(this.say('loading'));
    const canvasComing = import('./canvas.js');
    canvasComing.catch(() => {}); // told below
    let study;
    try {
      study = await fetchStudy(this.dicomwebRoot, this.studyUid, this.language);
    } catch (error) {
      this.fail('studyFailed', error);
      throw error;
    }
    if (!study.series.length) {
      this.sentence(this.say('noImages'));
      return;
    }
    this.series = seriesList(study, this.say, (series) => this.canvas?.showSeries(series));
    this.body.prepend(this.series.root);
    try {
      const { ReadingCanvas } = await canvasComing;
      this.area.replaceChildren();
      const canvas = new ReadingCanvas({
        study,
        area: this.area,
        marked: this.marked,
        say: this.say,
        changed: () => this.soon(),
        toast: (text, kind) => this.toast(text, kind),
      });
      const opened = canvas.open();
      this.canvas = canvas;
      await opened;
    } catch (error) {
      this.fail('startFailed', error);
      throw error;
    }
    this.refresh();
  }

  /** One sentence in the middle of the empty canvas. */
  sentence(text) {
    this.area.replaceChildren(element('div.notice.covering', { role: 'status' }, element('p', { text })));
  }

  fail(key, error) {
    const why = error instanceof Failure ? this.say(error.key, error.values) : String(error?.message ?? error);
    this.area.replaceChildren(
      element(
        'div.notice.covering.failing',
        { role: 'alert' },
        element('p.strong', { text: this.say(key) }),
        element('p', { text: why }),
        element('button.quiet', { type: 'button', text: this.say('retry'), onclick: () => window.location.reload() }),
      ),
    );
  }

  toast(text, kind = '') {
    this.toastBox.className = `toast ${kind}`;
    this.toastBox.textContent = text;
    this.toastBox.hidden = false;
    clearTimeout(this.toastEnd);
    this.toastEnd = setTimeout(() => {
      this.toastBox.hidden = true;
    }, TOAST_MS);
  }

  /** Redraw at most once a frame. */
  soon() {
    if (this.redrawing) return;
    this.redrawing = true;
    setTimeout(() => {
      this.redrawing = false;
      this.refresh();
    }, 30);
  }

  refresh() {
    const { canvas } = this;
    if (!canvas?.active) {
      this.toolbar.show({ pressed: new Set(), disabled: new Set(['presets']) });
      return;
    }
    const state = canvas.state();
    const pressed = new Set([state.tool, state.layout]);
    if (state.invert) pressed.add('invert');
    if (state.cine) pressed.add('cine');
    if (state.mpr.open || state.mpr.opening) pressed.add('mpr');
    if (!this.root.classList.contains('no-overlays')) pressed.add('overlays');
    const flat = ['length', 'angle', 'ellipse', 'rectangle', 'probe', 'rotate', 'flipH', 'flipV', 'cine', 'keyImage', 'undo', 'remove', 'scroll', 'pan', 'zoom', 'window'];
    const disabled = new Set(state.mpr.open ? flat : []);
    if (canvas.active.series?.modality !== 'CT') disabled.add('presets');
    if (state.imageCount < 2) disabled.add('cine');
    if (state.rendering === 'cpu') disabled.add('mpr');
    this.toolbar.show({ pressed, disabled });
    this.series.show({
      active: canvas.active.series,
      visible: new Set(canvas.panes.map(({ series }) => series)),
      share: (series) => canvas.share(series),
    });
    const numbers = { n: state.loaded, total: state.imageCount, failed: state.failed };
    this.progressText.textContent = state.mpr.opening
      ? this.say('preparingMpr', numbers)
      : this.say('progress', numbers) +
        (state.failed ? this.say('progressFailed', numbers) : '') +
        (state.rendering === 'cpu' ? `　${this.say('cpuRendering')}` : '');
    this.progressBar.style.width = state.imageCount ? `${(100 * state.loaded) / state.imageCount}%` : '0';
    this.status.classList.toggle('complete', state.loaded === state.imageCount);
    this.status.classList.toggle('failing', state.failed > 0);
  }

  keyImageSaved() {
    this.canvas.mark();
    this.toast(this.say('keyImageSaved'), 'good');
  }

  openKeyImage() {
    const described = this.canvas.describeKeyImage();
    if (!described) {
      this.toast(this.say(this.canvas.mpr ? 'keyImageInMpr' : 'loading'));
      return;
    }
    const { index, count } = this.canvas.active;
    this.keyImage.open(described, `${this.say('keyImage')}  ${this.say('image', { i: index + 1, n: count })}`);
  }

  /** Carry out a command of keys.js. False where it is not known. */
  run(name) {
    if (name === 'help') {
      this.help.showModal();
      return true;
    }
    const { canvas } = this;
    if (!canvas?.active?.series) return false;
    if (canvas.isTool(name)) {
      if (!canvas.mpr) canvas.chooseTool(name);
      return true;
    }
    const pane = canvas.active;
    const { mpr } = canvas;
    const step = (by) => (mpr ? mpr.scroll(canvas.planeInFocus(), by) : pane.go(pane.wanted + by, by));
    const flat = (act) => () => !mpr && pane.image && act();
    const acts = {
      previous: () => step(-1),
      next: () => step(1),
      tenBack: () => step(-10),
      tenOn: () => step(10),
      first: () => (mpr ? step(-1e5) : pane.go(0, 1)),
      last: () => (mpr ? step(1e5) : pane.go(pane.count - 1, -1)),
      previousSeries: () => canvas.stepSeries(-1),
      nextSeries: () => canvas.stepSeries(1),
      lung: () => canvas.setPreset('lung'),
      mediastinum: () => canvas.setPreset('mediastinum'),
      bone: () => canvas.setPreset('bone'),
      brain: () => canvas.setPreset('brain'),
      abdomen: () => canvas.setPreset('abdomen'),
      acquired: () => (mpr ? mpr.reset(mpr.window) : pane.image && pane.resetWindow()),
      invert: () => (mpr ? mpr.invert() : pane.image && pane.invert()),
      rotate: flat(() => pane.turn(90)),
      rotateBack: flat(() => pane.turn(-90)),
      flipH: flat(() => pane.flip(true)),
      flipV: flat(() => pane.flip(false)),
      larger: flat(() => pane.zoomBy(1.25)),
      smaller: flat(() => pane.zoomBy(0.8)),
      fit: flat(() => pane.fit()),
      reset: () => (mpr ? mpr.reset(mpr.window) : pane.image && pane.reset()),
      remove: flat(() => canvas.removeMeasurement()),
      undo: flat(() => canvas.undo()),
      cine: flat(() => canvas.toggleCine()),
      mpr: () => canvas.toggleMpr(),
      layout1: () => canvas.layOut('layout1'),
      layout2: () => canvas.layOut('layout2'),
      layout4: () => canvas.layOut('layout4'),
      overlays: () => this.root.classList.toggle('no-overlays'),
      keyImage: () => this.openKeyImage(),
      leave: () => {
        if (mpr) canvas.leaveMpr();
        canvas.stopCine();
        canvas.abandon();
        canvas.chooseTool('window');
      },
    };
    if (!acts[name]) return false;
    acts[name]();
    this.soon();
    return true;
  }

  listen() {
    document.addEventListener('keydown', (event) => {
      if (belongsElsewhere(event, this.root)) return;
      const command = commandOf(event);
      if (command && this.run(command)) event.preventDefault();
    });
  }
}

const root = document.getElementById('viewer');
if (root) {
  const viewer = new Viewer(root);
  const ready = viewer.open();
  ready.catch(() => {}); // shown on the canvas; whoever awaits ready hears it too
  viewer.listen();
  window.hubViewer = {
    ready,
    state: () => viewer.canvas?.state() ?? null,
    pixelAt: (x, y) => viewer.canvas?.pixelAt(x, y) ?? null,
    pagePoint: (x, y) => viewer.canvas?.pagePoint(x, y) ?? null,
    measurements: () => viewer.canvas?.measurements() ?? [],
  };
}
