// What every test here stands on: a browser, a site with the page, a server that lets the page in.

import { after } from 'node:test';

import { Browser, Server } from '../../web/harness.mjs';
import { Program } from './program.mjs';
import { startSite } from './site.mjs';
import { Tab } from './tab.mjs';

export { Server, startSite, Tab };
export { PATIENCE_MS, patiently, SqlError } from './tab.mjs';

export const TOKEN = 'token-of-the-tests';

// The surroundings of a test file's tests, gone after the last: `browser`, `site`, `server`.
// Each profile has storage of its own, as a browser has for each person.
export async function surroundings({ serverArgs = [] } = {}) {
  const site = await startSite();
  const args = ['--token', TOKEN, '--cors-origin', site.url, ...serverArgs];
  const server = await Server.start(args, TOKEN);
  const browser = await Browser.launch();
  after(async () => {
    await browser.close();
    Program.killAll();
    await Server.killAll();
    await site.close();
  });
  const profile = () => browser.chromium.newContext();
  // A tab on the server, with more of the init object; `options` are Tab.open's, and `profile`.
  const tab = async (config = {}, options = {}) => {
    const init = { host: server.url, token: TOKEN, ...config };
    return Tab.open(options.profile ?? await profile(), options.site ?? site, init, options);
  };
  return { site, server, browser, profile, tab };
}
