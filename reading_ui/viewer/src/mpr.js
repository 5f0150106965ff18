// One series in three planes with crosshairs. Loaded only when asked for.
import { cache, Enums, setVolumesForViewports, utilities, volumeLoader } from '@cornerstonejs/core';
import { addTool, CrosshairsTool, Enums as ToolEnums, PanTool, StackScrollTool, ToolGroupManager, WindowLevelTool, ZoomTool } from '@cornerstonejs/tools';
import { element } from './element.js';
import { overlay, writeDirections } from './overlay.js';

const { Events, OrientationAxis, ViewportType } = Enums;
const { MouseBindings, KeyboardBindings } = ToolEnums;
const { toLowHighRange, toWindowLevel } = utilities.windowLevel;
const GROUP = 'mpr';
const PLANES = [
  ['axial', OrientationAxis.AXIAL, '#6fb7ff'],
  ['sagittal', OrientationAxis.SAGITTAL, '#ffd166'],
  ['coronal', OrientationAxis.CORONAL, '#7ee0a1'],
];

export class Mpr {
  constructor({ engine, say, changed }) {
    Object.assign(this, { engine, say, changed });
    this.planes = PLANES.map(([name, orientation, colour]) => {
      const box = element('div.canvas-box', { oncontextmenu: (event) => event.preventDefault() });
      const words = overlay();
      const root = element(`section.pane.plane-${name}`, { tabindex: '0', 'aria-label': say(name) }, box, words.root);
      return { id: `mpr-${name}`, name, orientation, colour, box, words, root };
    });
    this.root = element('div.panes.mpr', {}, ...this.planes.map(({ root }) => root));
  }

  /** series: every image loaded. window: { center, width } to start with. */
  async open(series, window) {
    this.listening = new AbortController();
    const { signal } = this.listening;
    for (const { id, box, orientation } of this.planes) {
      this.engine.enableElement({
        viewportId: id,
        type: ViewportType.ORTHOGRAPHIC,
        element: box,
        defaultOptions: { orientation, background: [0, 0, 0] },
      });
    }
    this.volumeId = `cornerstoneStreamingImageVolume:${series.uid}`;
    const volume = await volumeLoader.createAndCacheVolume(this.volumeId, { imageIds: series.images.map((image) => image.imageId) });
    volume.load();
    const ids = this.planes.map(({ id }) => id);
    await setVolumesForViewports(this.engine, [{ volumeId: this.volumeId }], ids);
    this.setWindow(window.center, window.width);
    this.openTools(ids);
    for (const plane of this.planes) {
      for (const event of [Events.CAMERA_MODIFIED, Events.VOI_MODIFIED, Events.IMAGE_RENDERED]) {
        plane.box.addEventListener(event, () => this.describe(plane), { signal });
      }
      // A window chosen in one plane holds for all three.
      plane.box.addEventListener(Events.VOI_MODIFIED, ({ detail }) => this.share(plane, detail.range), { signal });
    }
    this.engine.renderViewports(ids);
    this.planes.forEach((plane) => this.describe(plane));
    this.ready = true;
  }

  openTools(ids) {
    for (const tool of [CrosshairsTool, PanTool, ZoomTool, WindowLevelTool, StackScrollTool]) addTool(tool);
    const colours = new Map(this.planes.map(({ id, colour }) => [id, colour]));
    this.group = ToolGroupManager.createToolGroup(GROUP);
    for (const tool of [PanTool, ZoomTool, WindowLevelTool, StackScrollTool]) this.group.addTool(tool.toolName);
    this.group.addTool(CrosshairsTool.toolName, {
      getReferenceLineColor: (id) => colours.get(id),
      getReferenceLineControllable: () => true,
      getReferenceLineDraggableRotatable: () => true,
      getReferenceLineSlabThicknessControlsOn: () => false,
    });
    ids.forEach((id) => this.group.addViewport(id, this.engine.id));
    this.group.setToolActive(CrosshairsTool.toolName, { bindings: [{ mouseButton: MouseBindings.Primary }] });
    this.group.setToolActive(WindowLevelTool.toolName, { bindings: [{ mouseButton: MouseBindings.Secondary }] });
    this.group.setToolActive(PanTool.toolName, {
      bindings: [{ mouseButton: MouseBindings.Auxiliary }, { mouseButton: MouseBindings.Primary, modifierKey: KeyboardBindings.Shift }],
    });
    this.group.setToolActive(ZoomTool.toolName, {
      bindings: [{ mouseButton: MouseBindings.Primary, modifierKey: KeyboardBindings.Ctrl }],
    });
    this.group.setToolActive(StackScrollTool.toolName, { bindings: [{ mouseButton: MouseBindings.Wheel }] });
  }

  viewport(plane) {
    return this.engine.getViewport(plane.id);
  }

  get window() {
    const range = this.range;
    if (!range) return null;
    const { windowCenter, windowWidth } = toWindowLevel(range.lower, range.upper);
    return { center: windowCenter, width: windowWidth };
  }

  setWindow(center, width) {
    this.range = toLowHighRange(width, center);
    for (const plane of this.planes) {
      this.viewport(plane).setProperties({ voiRange: this.range });
      this.viewport(plane).render();
    }
  }

  share(from, range) {
    if (!range || (this.range && range.lower === this.range.lower && range.upper === this.range.upper)) return;
    this.range = { lower: range.lower, upper: range.upper };
    for (const plane of this.planes) {
      if (plane === from) continue;
      this.viewport(plane).setProperties({ voiRange: this.range });
      this.viewport(plane).render();
    }
  }

  scroll(plane, by) {
    this.viewport(plane ?? this.planes[0]).scroll(by);
  }

  reset(window) {
    for (const plane of this.planes) this.viewport(plane).resetCamera();
    this.group.getToolInstance(CrosshairsTool.toolName).resetCrosshairs?.();
    this.setWindow(window.center, window.width);
    this.engine.renderViewports(this.planes.map(({ id }) => id));
  }

  invert() {
    for (const plane of this.planes) {
      const viewport = this.viewport(plane);
      viewport.setProperties({ invert: !viewport.getProperties().invert });
      viewport.render();
    }
  }

  describe(plane) {
    const viewport = this.viewport(plane);
    if (!viewport) return;
    const { window } = this;
    const count = viewport.getNumberOfSlices();
    const focal = viewport.getCamera().focalPoint;
    const along = { axial: 2, sagittal: 0, coronal: 1 }[plane.name];
    plane.words.parts.who.textContent = this.say(plane.name);
    plane.words.parts.where.textContent = [
      this.say('image', { i: viewport.getSliceIndex() + 1, n: count }),
      this.say('position', { mm: focal[along].toFixed(1) }),
    ].join('\n');
    plane.words.parts.how.textContent = window
      ? this.say('windowLine', { w: Math.round(window.width), c: Math.round(window.center) })
      : '';
    writeDirections(plane.words, viewport, null);
    this.changed();
  }

  close() {
    this.ready = false;
    this.listening?.abort();
    if (this.group) ToolGroupManager.destroyToolGroup(GROUP);
    for (const { id } of this.planes) if (this.engine.getViewport(id)) this.engine.disableElement(id);
    if (this.volumeId && cache.getVolume(this.volumeId)) cache.removeVolumeLoadObject(this.volumeId);
    this.root.remove();
  }
}
