/**
 * A token that may be renewed. To the database it keeps the name it was opened with (`opened`), so
 * that the database and its cache stay what they are; the worker sends the newest in its place.
 */
import { LitevfsError } from './errors.js';

/** Renewed when it has less than this left. */
const MARGIN_MS = 10_000;

export class Token {
  #source;
  #expiresAt = Infinity;
  /** The one it was opened with, and the newest. */
  opened;
  newest;

  /**
   * `source`: a text, or a function that returns one, or {token, expiresAt}, or a promise of
   * either.
   */
  static async from(source) {
    const token = new Token();
    token.#source = source;
    if (typeof source === 'function') await token.renew();
    else token.newest = source;
    token.opened = token.newest;
    return token;
  }

  get isExpiring() {
    return Date.now() > this.#expiresAt - MARGIN_MS;
  }

  /** Asks for another one; false where there is nobody to ask, or it is the same. */
  async renew() {
    if (typeof this.#source !== 'function') return false;
    let given;
    try {
      given = await this.#source();
    } catch (error) {
      const text = `the token function failed: ${error?.message ?? error}; sign in again`;
      throw new LitevfsError('UNAUTHORIZED', text, { cause: error });
    }
    const { token, expiresAt } = typeof given === 'string' ? { token: given } : given ?? {};
    if (typeof token !== 'string' || !token) {
      throw new LitevfsError('UNAUTHORIZED', 'the token function gave no token; sign in again');
    }
    this.#expiresAt = expiresAt === undefined ? Infinity : new Date(expiresAt).getTime();
    const isNew = token !== this.newest;
    this.newest = token;
    return isNew;
  }
}
