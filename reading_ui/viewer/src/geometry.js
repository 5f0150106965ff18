// Directions in the patient (LPS, PS3.3 C.7.6.2): +x left, +y posterior, +z head. Pure.
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const subtract = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const scale = (a, by) => [a[0] * by, a[1] * by, a[2] * by];
export const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];

const OPPOSITE = { L: 'R', R: 'L', A: 'P', P: 'A', H: 'F', F: 'H' };

/** 'L', 'HA' ...: where a direction points, strongest axis first; parts under 1/3 of a turn's sine are left out. */
export function letters(direction) {
  const size = Math.hypot(...direction);
  if (!size) return '';
  return [
    [direction[0] / size, 'L', 'R'],
    [direction[1] / size, 'P', 'A'],
    [direction[2] / size, 'H', 'F'],
  ]
    .filter(([part]) => Math.abs(part) > 0.33)
    .sort((a, b) => Math.abs(b[0]) - Math.abs(a[0]))
    .map(([part, plus, minus]) => (part > 0 ? plus : minus))
    .join('');
}

/** The other end of a Patient Orientation value (0020,0020): 'LF' gives 'RH'. */
export const opposite = (text) => [...(text ?? '')].map((letter) => OPPOSITE[letter] ?? '').join('');

/**
 * Letters for an image without a place in space, from Patient Orientation [row, column]:
 * direction is in image coordinates (x along the row, y down the columns).
 */
export function lettersInImage([x, y], [row = '', column = '']) {
  if (Math.abs(x) >= Math.abs(y)) return x >= 0 ? row : opposite(row);
  return y >= 0 ? column : opposite(column);
}
