// The file of the browser's private file system (OPFS) that a tab has its cache in, for store.js.
//
// Script text for `emcc --pre-js`, in words that the optimiser of the oldest emcc reads: here and
// in the other files of the store no `?.`, no class fields, no object spread, no pattern in `for`.
//
// Each tab has a file, its slot, to itself: `cache-0`, `cache-1`, ... of a folder. A sync access
// handle locks it until the tab is gone, however it goes. In Chromium a page that is reloaded finds
// its slot free, also when its worker waited for an answer. Only a worker that computes keeps it
// for up to two seconds, until it is ended by force; then the page gets the next slot.

const cacheSlots = (() => {
  const SLOTS = 8;
  /** How often, and at which intervals, the first one is tried. */
  const TRIES = 10;
  const PAUSE_MS = 20;

  async function folderOf(directory) {
    const storage = typeof navigator !== 'undefined' && navigator.storage;
    if (!storage || !storage.getDirectory) {
      throw new Error('there is no private file system (OPFS) here; '
        + 'it takes a current browser and a page from https or localhost');
    }
    if (typeof FileSystemFileHandle === 'undefined'
      || !FileSystemFileHandle.prototype.createSyncAccessHandle) {
      throw new Error('there are no sync access handles here; '
        + 'they take a current browser and a dedicated worker');
    }
    try {
      const root = await storage.getDirectory();
      return await root.getDirectoryHandle(directory, { create: true });
    } catch (error) {
      throw new Error(`the browser denies its private files (in a private window?): ${error}`);
    }
  }

  /** Chromium and Firefox say the one, WebKit the other. */
  const isTaken = ({ name }) =>
    name === 'NoModificationAllowedError' || name === 'InvalidStateError';

  /** Opens the first slot that no other tab has: its sync access handle. An Error says why not. */
  async function open(directory) {
    const folder = await folderOf(directory);
    let why;
    for (let n = 0; n < SLOTS; n += 1) {
      for (let left = n === 0 ? TRIES : 1; left > 0; left -= 1) {
        try {
          const file = await folder.getFileHandle(`cache-${n}`, { create: true });
          const handle = await file.createSyncAccessHandle();
          if (typeof handle.getSize() === 'number') return handle;
          throw new Error('its sync access handles are of an early kind');
        } catch (error) {
          why = error;
        }
        if (!isTaken(why)) break;
        if (left > 1) await new Promise((done) => { setTimeout(done, PAUSE_MS); });
      }
    }
    if (isTaken(why)) throw new Error(`other tabs have all ${SLOTS} caches; close one and reload`);
    throw new Error(`the browser gives no file for a cache: ${why}`);
  }

  /** Removes the slots, but for those that tabs have open. */
  async function remove(directory) {
    const folder = await folderOf(directory);
    for (let n = 0; n < SLOTS; n += 1) {
      await folder.removeEntry(`cache-${n}`).catch(() => {});
    }
  }

  return { open, remove };
})();
