// Line drawings for the toolbar on a 24 x 24 grid, drawn with the text colour.
const PATHS = {
  window: 'M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18M12 3v18M12 7h5.5M12 11h8.5M12 15h7.5M12 18.500h4',
  scroll: 'M5 8h14M5 12h14M5 16h14M12 5V2.500M10 4l2-2l2 2M12 19v2.500M10 20l2 2l2-2',
  pan: 'M12 3v18M3 12h18M9.500 5.500L12 3l2.500 2.500M9.500 18.500L12 21l2.500-2.500M5.500 9.500L3 12l2.500 2.500M18.500 9.500L21 12l-2.500 2.500',
  zoom: 'M10.500 4a6.500 6.500 0 1 0 0 13a6.500 6.500 0 1 0 0-13M15.500 15.500L21 21M10.500 7.500v6M7.500 10.500h6',
  length: 'M4 20L20 4M4 15.500L8.500 20M15.500 4L20 8.500',
  angle: 'M19 19H4L15 5M11 19a7 7 0 0 0-2.700-5.500',
  ellipse: 'M12 6c5 0 9 2.700 9 6s-4 6-9 6s-9-2.700-9-6s4-6 9-6',
  rectangle: 'M4 6h16v12H4z',
  probe: 'M12 4v5M12 15v5M4 12h5M15 12h5M12 11.200a.8.800 0 1 0 0 1.600a.8.800 0 1 0 0-1.600',
  rotate: 'M19.500 12a7.500 7.500 0 1 1-2.600-5.700M17.500 2.500v4.200h-4.200',
  flipH: 'M12 3v18M9 7v10H3zM15 7v10h6z',
  flipV: 'M3 12h18M7 9h10V3zM7 15h10v6z',
  invert: 'M4 4h16v16H4zM4 20L20 4M14.500 16.500h3.500M6.500 8H10M8.200 6.200v3.600',
  reset: 'M4.500 12a7.500 7.500 0 1 0 2.600-5.700M6.500 2.500v4.200h4.200M12 9v3.500l2.500 1.500',
  remove: 'M5 7h14M9.500 7V4h5v3M7 7l1 13h8l1-13M10.500 11v5.500M13.500 11v5.500',
  undo: 'M8 5L4 9l4 4M4 9h10a5.500 5.500 0 0 1 0 11h-3',
  cine: 'M7 4.500v15l12-7.500z',
  mpr: 'M12 3l8 4.500v9L12 21l-8-4.500v-9zM4 7.500l8 4.500l8-4.500M12 12v9',
  overlays: 'M4 6h9M4 10h6M14 18h6M16.500 14h3.500',
  layout1: 'M4 5h16v14H4z',
  layout2: 'M4 5h16v14H4zM12 5v14',
  layout4: 'M4 5h16v14H4zM12 5v14M4 12h16',
  keyImage: 'M12 3.500l2.600 5.400l5.900.8l-4.300 4.100l1.100 5.900L12 16.900l-5.300 2.800l1.100-5.900L3.500 9.700l5.900-.8z',
  help: 'M9 9a3 3 0 1 1 4.500 2.600c-1 .6-1.500 1.200-1.500 2.400M12 17.200v.4M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18',
};

/** An <svg> of the named drawing, hidden from screen readers: the button carries the words. */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}
