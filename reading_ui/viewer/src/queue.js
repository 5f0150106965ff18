// Which frame is fetched next. What a pane is waiting for goes first (the latest wish before older ones),
// then the order the reader is likely to want; fetches nobody wants any more are cut off.
const PAUSES_MS = [400, 1500];

export class FrameQueue {
  /**
   * fetchFrame(id, signal) → Promise of an image. preload(id) asks the cache for an image, which comes back
   * here as request(id). parallel: fetches ahead of need; two more are kept for what is needed now.
   */
  constructor({ fetchFrame, preload, isKnown, parallel = 4 }) {
    Object.assign(this, { fetchFrame, preload, isKnown, parallel });
    this.waiting = new Map(); // id → { id, urgent, resolve, reject }
    this.running = new Map(); // id → { id, urgent, controller }
    this.ahead = []; // ids in the order of likely need
    this.needed = new Set(); // ids panes are about to ask for, or wait for
    this.failed = new Set(); // not asked for ahead again; a pane may still ask
  }

  /** The frame, as soon as its turn comes. Rejects with a Failure, or an AbortError where cut off. */
  request(id, urgent) {
    const promise = new Promise((resolve, reject) => this.waiting.set(id, { id, urgent, resolve, reject }));
    this.pump();
    return promise;
  }

  /** A pane waits for this frame now, or for none (null); its earlier wishes become ordinary ones. */
  need(id, noLonger = []) {
    for (const old of noLonger) this.needed.delete(old);
    if (id) this.needed.add(id);
    for (const entry of [...this.waiting.values(), ...this.running.values()]) {
      if (noLonger.includes(entry.id)) entry.urgent = false;
    }
    const entry = this.waiting.get(id);
    if (entry) {
      this.waiting.delete(id);
      this.waiting.set(id, { ...entry, urgent: true });
    } else if (this.running.has(id)) {
      this.running.get(id).urgent = true;
    }
    this.pump();
  }

  /** Fetch these ahead, in this order; running fetches outside of it are cut off. */
  expect(ids) {
    this.ahead = ids.filter((id) => !this.failed.has(id));
    const wanted = new Set(ids);
    for (const { id, urgent, controller } of this.running.values()) {
      if (!urgent && !wanted.has(id)) controller.abort();
    }
    this.pump();
  }

  pump() {
    for (;;) {
      const urgent = [...this.waiting.values()].filter((entry) => entry.urgent).at(-1);
      const limit = urgent ? this.parallel + 2 : this.parallel;
      if (this.running.size >= limit) return;
      const next = urgent ?? this.waiting.values().next().value;
      if (next) {
        this.start(next);
        continue;
      }
      // Nothing is fetched ahead while a pane still waits for its own picture.
      if ([...this.running.values()].some((entry) => entry.urgent)) return;
      if ([...this.needed].some((wanted) => !this.isKnown(wanted) && !this.failed.has(wanted))) return;
      let id = this.ahead.shift();
      while (id && this.isKnown(id)) id = this.ahead.shift();
      if (!id) return;
      this.preload(id); // comes back through request(), which pumps
      if (!this.running.has(id)) return;
    }
  }

  async start({ id, urgent, resolve, reject }) {
    this.waiting.delete(id);
    const controller = new AbortController();
    this.running.set(id, { id, urgent, controller });
    try {
      resolve(await this.tried(id, controller.signal));
      this.failed.delete(id);
      this.needed.delete(id);
    } catch (error) {
      if (error.name !== 'AbortError') this.failed.add(id);
      reject(error);
    } finally {
      this.running.delete(id);
      this.pump();
    }
  }

  async tried(id, signal) {
    for (const pause of PAUSES_MS) {
      try {
        return await this.fetchFrame(id, signal);
      } catch (error) {
        if (!error.again) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
      signal.throwIfAborted();
    }
    return this.fetchFrame(id, signal);
  }
}

/** Indices 1..n-1 away from the one shown: three in the direction of travel for each one behind. */
export function likelyOrder(count, shown, direction = 1) {
  const order = [];
  let ahead = shown + direction;
  let behind = shown - direction;
  const inside = (at) => at >= 0 && at < count;
  while (inside(ahead) || inside(behind)) {
    for (let i = 0; i < 3 && inside(ahead); i += 1, ahead += direction) order.push(ahead);
    if (inside(behind)) {
      order.push(behind);
      behind -= direction;
    }
  }
  return order;
}
