/** The package in Node: the same API, with SQLite in a worker thread. */
import { api } from '../api.js';
import * as platform from './platform.js';

export { LitevfsError } from '../errors.js';
export const { open, connect, litevfsPromiser, litevfsWorker } = api(platform);
