// The mouse: which drag does what, how measurements look, and what may be done with them.
import { utilities } from '@cornerstonejs/core';
import {
  addTool,
  AngleTool,
  annotation,
  EllipticalROITool,
  Enums,
  init as initTools,
  LengthTool,
  PanTool,
  ProbeTool,
  RectangleROITool,
  StackScrollTool,
  ToolGroupManager,
  utilities as toolUtilities,
  WindowLevelTool,
  ZoomTool,
} from '@cornerstonejs/tools';
import { numbersOf, readout } from './readout.js';

const { MouseBindings, KeyboardBindings } = Enums;
const GROUP = 'reading';
const MEASURING = { length: LengthTool, angle: AngleTool, ellipse: EllipticalROITool, rectangle: RectangleROITool, probe: ProbeTool };
const MOVING = { window: WindowLevelTool, scroll: StackScrollTool, pan: PanTool, zoom: ZoomTool };
export const TOOLS = { ...MOVING, ...MEASURING };

const always = {
  window: [{ mouseButton: MouseBindings.Secondary }],
  pan: [{ mouseButton: MouseBindings.Auxiliary }, { mouseButton: MouseBindings.Primary, modifierKey: KeyboardBindings.Shift }],
  zoom: [{ mouseButton: MouseBindings.Primary, modifierKey: KeyboardBindings.Ctrl }],
};

let group;

export function openTools(say) {
  initTools();
  Object.values(TOOLS).forEach((tool) => addTool(tool));
  group = ToolGroupManager.createToolGroup(GROUP);
  for (const tool of Object.values(MOVING)) group.addTool(tool.toolName);
  for (const { toolName } of Object.values(MEASURING)) {
    group.addTool(toolName, { getTextLines: readout(say, toolName), shadow: true });
  }
  const styles = annotation.config.style.getDefaultToolStyles();
  annotation.config.style.setDefaultToolStyles({
    ...styles,
    global: {
      ...styles.global,
      color: '#ffd166',
      colorHighlighted: '#7ee0a1',
      colorSelected: '#7ee0a1',
      lineWidth: '1.5',
      textBoxColor: '#ffd166',
      textBoxColorHighlighted: '#7ee0a1',
      textBoxColorSelected: '#7ee0a1',
      textBoxFontFamily: '"Noto Sans SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif',
      textBoxFontSize: '13px',
      textBoxLinkLineDash: '2,3',
      textBoxBackground: 'rgba(8, 10, 12, 0.55)',
    },
  });
  choose('window');
}

export const attach = (viewportId, engineId) => group.addViewport(viewportId, engineId);
export const detach = (viewportId, engineId) => group.removeViewports(engineId, viewportId);

/** Make the named tool the one of the left button; every measurement stays movable. */
export function choose(name) {
  for (const tool of Object.values(MEASURING)) group.setToolPassive(tool.toolName, { removeAllBindings: true });
  for (const tool of Object.values(MOVING)) group.setToolPassive(tool.toolName, { removeAllBindings: true });
  const left = { mouseButton: MouseBindings.Primary };
  for (const [other, bindings] of Object.entries(always)) {
    group.setToolActive(TOOLS[other].toolName, { bindings: other === name ? [left, ...bindings] : bindings });
  }
  if (!always[name]) group.setToolActive(TOOLS[name].toolName, { bindings: [left] });
}

const toolNames = new Map(Object.entries(MEASURING).map(([name, tool]) => [tool.toolName, name]));
const isOurs = (one) => toolNames.has(one.metadata?.toolName);

/** Measurements as values: { uid, tool, imageId, points (patient mm), ...numbers }. */
export function measurements() {
  return annotation.state
    .getAllAnnotations()
    .filter(isOurs)
    .map((one) => ({
      uid: one.annotationUID,
      tool: toolNames.get(one.metadata.toolName),
      imageId: one.metadata.referencedImageId,
      points: one.data.handles.points.map((point) => [...point]),
      ...numbersOf(one),
    }));
}

/** Remove the selected measurement, or else the newest on the image shown. False where there is none. */
export function removeMeasurement(imageId, element) {
  const ours = annotation.state.getAllAnnotations().filter(isOurs);
  const selected = ours.filter((one) => annotation.selection.isAnnotationSelected(one.annotationUID));
  const here = ours.filter((one) => one.metadata.referencedImageId === imageId);
  const leaving = selected.length ? selected : here.slice(-1);
  for (const one of leaving) {
    annotation.selection.setAnnotationSelected(one.annotationUID, false);
    // The memo lets undo bring it back.
    LengthTool.createAnnotationMemo(element, one, { deleting: true });
    annotation.state.removeAnnotation(one.annotationUID);
  }
  return leaving.length > 0;
}

export function undo() {
  const { DefaultHistoryMemo } = utilities.HistoryMemo;
  if (!DefaultHistoryMemo.canUndo) return false;
  DefaultHistoryMemo.undo();
  return true;
}

export const redraw = (viewportIds) => toolUtilities.triggerAnnotationRenderForViewportIds(viewportIds);

/** Drop whatever is being drawn. */
export function abandon(element) {
  for (const tool of Object.values(MEASURING)) group.getToolInstance(tool.toolName).cancel?.(element);
}
