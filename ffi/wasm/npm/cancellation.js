/**
 * Whether the page wants the statement at hand to end. A worker that is in the middle of one hears
 * no messages; without shared memory it can still ask for a URL. The page makes one of an empty
 * blob, and cancels by revoking it (platform.js). Where there is shared memory, in Node, the flag
 * is that.
 */

/** How long the flag is not looked at after a look. */
const PAUSE_MS = 50;
/** And at least so many times what the look took, so that it never costs more than 2 %. */
const PAUSE_FACTOR = 50;

export class Cancellation {
  #flag;
  #nextLookAt = 0;
  /** Whether the statement at hand was told. */
  wasSeen = false;

  /** Text or SharedArrayBuffer; a new one after each cancellation, and undefined for none. */
  set flag(flag) {
    // A policy of the page's may forbid to ask; that must not look like a cancellation.
    const isFirst = this.#flag === undefined;
    this.#flag = isFirst && flag !== undefined && isRaised(flag) ? undefined : flag;
    this.wasSeen = false;
  }

  isCancelled() {
    if (this.wasSeen || this.#flag === undefined) return this.wasSeen;
    const began = performance.now();
    if (began < this.#nextLookAt) return false;
    this.wasSeen = isRaised(this.#flag);
    const ended = performance.now();
    this.#nextLookAt = ended + Math.max(PAUSE_MS, PAUSE_FACTOR * (ended - began));
    return this.wasSeen;
  }
}

function isRaised(flag) {
  if (typeof flag !== 'string') return Atomics.load(new Int32Array(flag), 0) !== 0;
  try {
    const request = new XMLHttpRequest();
    request.open('GET', flag, false);
    request.send();
    return request.status !== 200;
  } catch {
    return true;
  }
}
