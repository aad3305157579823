// The page cache that a browser keeps for the next visit: files for src/sys/emscripten/files.rs, in
// one file of the browser's (slots.js) that they share (chunk_file.js).
//
// Script text for `emcc --pre-js`, after host.js and those two. The hook at the end opens the store
// before SQLite starts.
//
// No method throws. When the browser fails, or takes the file away, each is `false` from then on,
// and a notice says why. After the death of a tab, files may have in some places what was there
// earlier, or what belongs elsewhere: the Rust code has a checksum for all that it reads.

/* global Module, addRunDependency, removeRunDependency, cacheSlots, ChunkFile, litevfs */

const CacheStore = (() => {
  const { CHUNK } = ChunkFile;
  const MAX_LENGTH = 2 ** 32 * CHUNK;
  /** Changed places of chunks that a tab which dies may take with it. */
  const MAX_CHANGES = 128;

  return class CacheStore {
    /**
     * Opens the cache of this tab, with what an earlier one left. An Error says why there is none.
     * @param {{maxBytes: number, directory?: string, notice?: (text: string) => void}} options
     *   The file takes `maxBytes`, a 512th of that for its map, and 72 KiB at most; `notice` hears
     *   of what goes wrong later.
     */
    static async open({ maxBytes, directory = 'litevfs', notice = () => {} }) {
      if (!(maxBytes >= CHUNK)) throw new Error(`maxCacheBytes ${maxBytes} is no room for a cache`);
      const handle = await cacheSlots.open(directory);
      try {
        return new CacheStore(new ChunkFile(handle, maxBytes), notice);
      } catch (error) {
        handle.close();
        throw new Error(`the browser gives no room for a cache: ${error}`);
      }
    }

    constructor(disk, notice) {
      this.disk = disk;
      this.notice = notice;
      /** Files that have a name, by it. */
      this.files = new Map();
      /** Open files, by fd. */
      this.openFiles = new Map();
      this.lastFd = 0;
      this.lastOpened = 0;
      this.isFlushDue = false;
      this.isBroken = false;
      for (const file of disk.records.filter(Boolean)) {
        this.files.set(file.path, file);
        this.lastOpened = Math.max(this.lastOpened, file.opened);
      }
    }

    /** Opens or creates a file: its fd, 0 when it is open already, -1 when it can't be had. */
    openFile(path) {
      const known = this.files.get(path);
      if (known && known.fd) return 0;
      const file = this.isBroken ? null : known || this.create(path);
      if (!file) return -1;
      this.lastFd += 1;
      this.lastOpened += 1;
      Object.assign(file, { fd: this.lastFd, opened: this.lastOpened });
      this.openFiles.set(file.fd, file);
      this.disk.touch(file);
      this.flushSoon();
      return file.fd;
    }

    closeFile(fd) {
      const file = this.openFiles.get(fd);
      if (!file) return;
      this.openFiles.delete(fd);
      file.fd = 0;
      if (file.record < 0) this.releaseFrom(file, 0);
      this.disk.touch(file);
      this.flush();
    }

    /** Fills `bytes`; false when the file ends before. */
    readAt(fd, bytes, offset) {
      const file = this.openFiles.get(fd);
      if (!file || offset + bytes.length > file.length) return false;
      return this.attempt(() => {
        this.disk.piecesOf(file, offset, bytes.length).forEach(({ from, to, at }) => {
          const piece = bytes.subarray(from, to);
          if (at === null) piece.fill(0);
          else this.disk.read(piece, at);
        });
      });
    }

    /**
     * Writes all of `bytes`; false when there is no room. Files that are not open leave for it,
     * first the one whose last opening is longest ago.
     */
    writeAt(fd, bytes, offset) {
      const file = this.openFiles.get(fd);
      const end = offset + bytes.length;
      if (!file || end > MAX_LENGTH) return false;
      const claimed = this.isBroken ? null : this.claim(file, offset, end);
      return claimed !== null && this.attempt(() => {
        this.fill(file, bytes, offset, claimed);
        file.length = Math.max(file.length, end);
      });
    }

    /** Bytes of the file. The next tab may find it longer, up to the end of its last chunk. */
    length(fd) {
      const file = this.openFiles.get(fd);
      return file ? file.length : 0;
    }

    /** Cuts the file, or grows it with zeros. */
    setLength(fd, length) {
      const file = this.openFiles.get(fd);
      if (!file || length > MAX_LENGTH) return false;
      return this.attempt(() => {
        this.releaseFrom(file, length);
        this.disk.writeZeros(file, length, -length & (CHUNK - 1));
        file.length = length;
        this.disk.touch(file);
      });
    }

    /** Makes bytes of the file zero, and gives up the chunks that had no others. */
    punch(fd, offset, length) {
      const file = this.openFiles.get(fd);
      if (!file) return false;
      return this.attempt(() => {
        const end = Math.min(offset + length, file.length);
        let at = offset;
        while (at < end) {
          const chunk = Math.floor(at / CHUNK);
          const next = Math.min((chunk + 1) * CHUNK, end);
          const isWhole = at === chunk * CHUNK && (next - at === CHUNK || next === file.length);
          if (isWhole) this.disk.release(file, chunk);
          else this.disk.writeZeros(file, at, next - at);
          at = next;
        }
      });
    }

    /** Removes the name of a file; its bytes stay until it is closed. */
    unlink(path) {
      const file = this.files.get(path);
      if (!file) return;
      this.remove(file);
      this.flushSoon();
    }

    /** Bytes that can still be written. */
    available() {
      if (this.isBroken) return 0;
      let chunks = this.disk.free;
      for (const file of this.files.values()) chunks += file.fd ? 0 : file.chunks.size;
      return chunks * CHUNK;
    }

    /** Leaves the file to another tab. */
    close() {
      this.flush();
      this.isBroken = true;
      this.disk.handle.close();
    }

    /** A new file, also at the cost of an old one; null when it can't be had. */
    create(path) {
      if (new TextEncoder().encode(path).length > ChunkFile.MAX_PATH) return null;
      const file = this.disk.create(path) || (this.removeOldest() ? this.disk.create(path) : null);
      if (file) this.files.set(path, file);
      return file;
    }

    remove(file) {
      this.files.delete(file.path);
      this.disk.forget(file);
      if (!file.fd) this.releaseFrom(file, 0);
    }

    /** Removes the file that was not open for longest; false when all are open. */
    removeOldest() {
      let oldest = null;
      for (const file of this.files.values()) {
        if (!file.fd && (!oldest || file.opened < oldest.opened)) oldest = file;
      }
      if (oldest) this.remove(oldest);
      return oldest !== null;
    }

    releaseFrom(file, length) {
      for (const chunk of file.chunks.keys()) {
        if (chunk * CHUNK >= length) this.disk.release(file, chunk);
      }
    }

    /** Gives a file all chunks of a range: the new ones, or null when there are not enough. */
    claim(file, offset, end) {
      const missing = [];
      for (let chunk = Math.floor(offset / CHUNK); chunk * CHUNK < end; chunk += 1) {
        if (!file.chunks.has(chunk)) missing.push(chunk);
      }
      if (missing.length > 0) this.grow(missing.length);
      while (this.disk.free < missing.length) {
        if (!this.removeOldest()) return null;
      }
      missing.forEach((chunk) => this.disk.claim(file, chunk));
      return missing;
    }

    /** Writes a range, of which the `claimed` chunks are new and have to be zero around it. */
    fill(file, bytes, offset, claimed) {
      const end = offset + bytes.length;
      for (const chunk of claimed) {
        const isWhole = chunk * CHUNK >= offset && (chunk + 1) * CHUNK <= end;
        if (!isWhole) this.disk.writeZeros(file, chunk * CHUNK, CHUNK);
      }
      this.disk.piecesOf(file, offset, bytes.length).forEach(({ from, to, at }) => {
        this.disk.write(bytes.subarray(from, to), at);
      });
    }

    /** Has the file grow for so many new chunks, and says when it can't any more. */
    grow(wanted) {
      const { limit } = this.disk;
      this.attempt(() => this.disk.grow(wanted));
      if (this.disk.limit === limit) return;
      const mib = (this.disk.limit * CHUNK / 2 ** 20).toFixed(1);
      this.tell(`the cache stays at ${mib} MiB: the browser gives this site no more room`);
    }

    /** Does something with the file. When that fails, it was the last thing. */
    attempt(action) {
      if (this.isBroken) return false;
      try {
        action();
        this.flushSoon();
        return true;
      } catch (error) {
        this.isBroken = true;
        this.tell(`pages are kept in memory only from now on: the browser's file fails: ${error}`);
        return false;
      }
    }

    tell(text) {
      try {
        this.notice(text);
      } catch (error) {
        console.warn(`litevfs: ${text}`);
      }
    }

    flush() {
      this.attempt(() => this.disk.flush());
    }

    /** Has names and map written when the worker is done with its task; now when much changed. */
    flushSoon() {
      if (this.disk.changes >= MAX_CHANGES) this.flush();
      if (this.isFlushDue || !this.disk.isDirty) return;
      this.isFlushDue = true;
      queueMicrotask(() => {
        this.isFlushDue = false;
        this.flush();
      });
    }
  };
})();

Module.preRun = [].concat(Module.preRun || [], async () => {
  const { shared } = litevfs;
  const { maxCacheBytes: maxBytes = 256 * 2 ** 20 } = shared;
  const notice = (text) => {
    shared.notice = text;
    litevfs.log(2, text);
  };
  Object.assign(shared, { store: null, notice: null });
  addRunDependency('litevfs-store');
  try {
    if (maxBytes === 0) {
      shared.notice = 'pages are kept in memory only: maxCacheBytes is 0';
      await cacheSlots.remove('litevfs').catch(() => {});
    } else {
      shared.store = await CacheStore.open({ maxBytes, notice });
    }
  } catch (error) {
    notice(`pages are kept in memory only: ${error.message}`);
  } finally {
    removeRunDependency('litevfs-store');
  }
});
