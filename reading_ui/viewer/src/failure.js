/** Why an image or a page's data could not be had: a key of words.js and what fills its braces. */
export class Failure extends Error {
  constructor(key, values = {}, { again = false } = {}) {
    super(key);
    this.name = 'Failure';
    this.key = key;
    this.values = values;
    this.again = again; // whether the same request can succeed a moment later
  }
}

/** The failure an HTTP answer stands for, or null for a good one. A sign-in page in place of data is a refusal. */
export function failureOf(response) {
  if (response.ok) {
    const page = (response.headers.get('content-type') ?? '').startsWith('text/html');
    return page ? new Failure('forbidden') : null;
  }
  if (response.status === 401 || response.status === 403) return new Failure('forbidden');
  if (response.status === 404 || response.status === 410) return new Failure('missing');
  const again = response.status >= 500 || response.status === 429;
  return new Failure('server', { status: response.status }, { again });
}
