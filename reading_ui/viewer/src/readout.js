// What a measurement says: numbers with their unit, and where the unit is not a patient millimetre, why.
import { metaData } from '@cornerstonejs/core';
import { RectangleROITool } from '@cornerstonejs/tools';
import { imageBehind, valueAt } from './frames.js';
import { subtract } from './geometry.js';

const imageOf = (annotation) => imageBehind(annotation.metadata?.referencedImageId);

const rounded = (number, digits) => number.toLocaleString('en-US', { maximumFractionDigits: digits, useGrouping: false });

/** { unit: 'mm' | 'px', factor, note }: how a length given by the tools library is to be read. */
function lengthUnit(image, given) {
  if (given?.startsWith('cm')) return { unit: 'mm', factor: 10, note: image?.spacingCorrected ? 'corrected' : '' };
  if (!image || image.spacing) return { unit: 'mm', factor: 1, note: image?.spacingCorrected ? 'corrected' : '' };
  if (image.detectorSpacing) return { unit: 'mm', factor: 1, note: 'atDetector' };
  return { unit: 'px', factor: 1, note: 'uncalibrated' };
}

/** The library counts a rectangle's sides in whole pixels; its corners say how large it was drawn. */
function rectangleArea({ data, metadata }) {
  if (metadata.toolName !== RectangleROITool.toolName) return null;
  const [corner, along, down] = data.handles.points;
  const side = (to) => Math.hypot(...subtract(to, corner));
  return side(along) * side(down);
}

function valueUnit(image) {
  if (!image) return '';
  const { modality } = metaData.get('generalSeriesModule', image.imageId) ?? {};
  return modality === 'CT' ? 'HU' : '';
}

/** The finished numbers of a measurement, or null while there are none. Lengths in mm (or px), areas in mm². */
export function numbersOf(annotation) {
  const stats = Object.values(annotation.data.cachedStats ?? {})[0];
  if (!stats) return null;
  const image = imageOf(annotation);
  if (Number.isFinite(stats.length)) {
    const { unit, factor, note } = lengthUnit(image, stats.unit);
    return { length: stats.length * factor, unit, note };
  }
  if (Number.isFinite(stats.angle)) return { angle: stats.angle };
  if (Number.isFinite(stats.mean)) {
    const { unit, factor, note } = lengthUnit(image, stats.areaUnit);
    return {
      area: (factor === 1 && rectangleArea(annotation)) || stats.area * factor * factor,
      areaUnit: `${unit}²`,
      note,
      mean: stats.mean,
      standardDeviation: stats.stdDev,
      min: stats.min,
      max: stats.max,
      valueUnit: valueUnit(image),
    };
  }
  if (stats.index && image) {
    // The library looks a probe's value up in the wrong slice of a stack; the image itself knows.
    const index = stats.index.slice(0, 2).map(Math.round);
    const value = valueAt(image.imageId, ...index);
    return value === null ? null : { index, value, valueUnit: valueUnit(image) };
  }
  return null;
}

/** Text lines of one tool for the tools library: getTextLines(data, targetId). */
export function readout(say, toolName) {
  return (data, targetId) => {
    const stats = data.cachedStats?.[targetId];
    if (!stats) return undefined;
    const annotation = {
      data: { cachedStats: { one: stats }, handles: data.handles },
      metadata: { referencedImageId: targetId.replace(/^imageId:/, ''), toolName },
    };
    const numbers = numbersOf(annotation);
    if (!numbers) return undefined;
    const note = numbers.note ? say(numbers.note) : '';
    if ('length' in numbers) return [`${rounded(numbers.length, 1)} ${numbers.unit}${note}`];
    if ('angle' in numbers) return [`${rounded(numbers.angle, 1)}°`];
    if ('mean' in numbers) {
      const unit = numbers.valueUnit ? ` ${numbers.valueUnit}` : '';
      return [
        `${say('mean')} ${rounded(numbers.mean, 1)}${unit}`,
        `${say('deviation')} ${rounded(numbers.standardDeviation, 1)}`,
        `${say('extremes')} ${rounded(numbers.min, 0)} / ${rounded(numbers.max, 0)}`,
        `${say('area')} ${rounded(numbers.area, 1)} ${numbers.areaUnit}${note}`,
      ];
    }
    const value = [numbers.value].flat().map((part) => rounded(part, 1)).join(', ');
    return [`${value}${numbers.valueUnit ? ` ${numbers.valueUnit}` : ''}`];
  };
}
