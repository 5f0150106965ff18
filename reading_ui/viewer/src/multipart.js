// One frame out of a WADO-RS answer (PS3.18 8.7, RFC 2046). Pure: bytes in, bytes out.
const BY_MEDIA_TYPE = {
  'image/jphc': '1.2.840.10008.1.2.4.201',
  'image/jp2': '1.2.840.10008.1.2.4.90',
  'image/jls': '1.2.840.10008.1.2.4.80',
  'image/jpeg': '1.2.840.10008.1.2.4.50',
  'image/dicom-rle': '1.2.840.10008.1.2.5',
  'application/octet-stream': '1.2.840.10008.1.2.1',
};
const WAVELET = /^1\.2\.840\.10008\.1\.2\.4\.(9[0-3]|20[1-3])$/;
const NATIVE = new Set(['1.2.840.10008.1.2', '1.2.840.10008.1.2.1', '1.2.840.10008.1.2.2']);

const parameter = (header, name) =>
  header.match(new RegExp(`;\\s*${name}=(?:"([^"]*)"|([^;\\s]*))`, 'i'))?.slice(1).find(Boolean);

function indexOf(bytes, text, from = 0) {
  const wanted = new TextEncoder().encode(text);
  outer: for (let at = bytes.indexOf(wanted[0], from); at >= 0; at = bytes.indexOf(wanted[0], at + 1)) {
    for (let i = 1; i < wanted.length; i += 1) if (bytes[at + i] !== wanted[i]) continue outer;
    return at;
  }
  return -1;
}

function lastIndexOf(bytes, text) {
  const wanted = new TextEncoder().encode(text);
  outer: for (let at = bytes.length - wanted.length; at >= 0; at -= 1) {
    for (let i = 0; i < wanted.length; i += 1) if (bytes[at + i] !== wanted[i]) continue outer;
    return at;
  }
  return -1;
}

const syntaxOf = (contentType) =>
  parameter(contentType, 'transfer-syntax') ??
  BY_MEDIA_TYPE[contentType.split(';')[0].trim().toLowerCase()] ??
  BY_MEDIA_TYPE['application/octet-stream'];

/** { pixels: Uint8Array, syntax: transfer syntax UID }, or null where the closing boundary is missing. */
export function frameFrom(contentType, body) {
  const boundary = contentType.toLowerCase().startsWith('multipart/') && parameter(contentType, 'boundary');
  if (!boundary) return { pixels: body, syntax: syntaxOf(contentType) };
  const headersEnd = indexOf(body, '\r\n\r\n');
  const end = lastIndexOf(body, `\r\n--${boundary}`);
  if (headersEnd < 0 || end < headersEnd) return null;
  const headers = new TextDecoder('ascii').decode(body.subarray(0, headersEnd));
  const own = headers.match(/^content-type:\s*(.*)$/im)?.[1].trim() ?? 'application/octet-stream';
  const syntax = parameter(own, 'transfer-syntax') ?? parameter(contentType, 'transfer-syntax') ?? syntaxOf(own);
  return { pixels: body.slice(headersEnd + 4, end), syntax };
}

/**
 * Whether all of a frame is there. JPEG 2000 and HTJ2K decode a cut stream without complaint, so their end
 * marker (FF D9, at most one byte of padding after it) is looked for; native pixels are counted.
 */
export function isWhole({ pixels, syntax }, image) {
  if (NATIVE.has(syntax)) {
    const samples = image.photometric === 'YBR_FULL_422' ? 2 : image.samples;
    return pixels.length >= Math.ceil((image.rows * image.columns * samples * image.bitsAllocated) / 8);
  }
  if (!WAVELET.test(syntax)) return pixels.length > 0;
  return [2, 3].some((back) => pixels.at(-back) === 0xff && pixels.at(1 - back) === 0xd9);
}
