/**
 * The package in a page: `open`, `connect`, `litevfsPromiser`, `litevfsWorker`. SQLite runs in a
 * worker of the page's; here is only what talks to it. index.d.ts says what each takes and gives.
 */
import { api } from './api.js';
import * as platform from './platform.js';

export { LitevfsError } from './errors.js';
export const { open, connect, litevfsPromiser, litevfsWorker } = api(platform);
