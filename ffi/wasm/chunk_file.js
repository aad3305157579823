// One file that holds many, in chunks of 4,096 bytes, for store.js.
//
//   header   4,096 bytes          magic u32 | version u32 | number of chunks u32
//   names    65,536 bytes         256 records of 256 bytes: check u32 | tag u32 | opened u32 |
//                                 path length u32 | length f64 | path
//   map      8 bytes a chunk,     for each chunk: tag u32 | its number in that file u32
//            rounded up to 4,096
//   chunks   4,096 bytes each
//
// In the machine's byte order, as the file stays there. A tag stands for a file from its creation
// to its removal and is not used again; it is never 0. An entry whose tag no record has is a free
// chunk.
//
// Names and map are written by flush(), after the chunks. So when a tab dies, or the power fails,
// the next one may find, in places that changed since, what was there earlier, or what belongs
// elsewhere. It never finds two places in one chunk.
//
// What the handle throws goes to the caller.

const ChunkFile = (() => {
  const CHUNK = 4096;
  const ZEROS = new Uint8Array(CHUNK);
  const HEADER = [0x4c565643, 1];
  const RECORDS = 256;
  const RECORD = 256;
  /** In a record. */
  const PATH_AT = 24;
  const NAMES_AT = CHUNK;
  const MAP_AT = NAMES_AT + RECORDS * RECORD;
  const ENTRIES_PER_CHUNK = CHUNK / 8;
  /** 16 GiB. The map is in memory too, 32 MiB then. */
  const MAX_CHUNKS = 2 ** 22;
  const MAX_TAG = 2 ** 31;
  /** Chunks that the file has more than are used, where the browser gives so many. */
  const AHEAD = 512;

  /** FNV-1a. */
  function checkOf(bytes) {
    let check = 0x811c9dc5;
    for (const byte of bytes) check = Math.imul(check ^ byte, 0x01000193);
    return check >>> 0;
  }

  function newFile(path, tag, record) {
    return { path, tag, record, opened: 0, length: 0, fd: 0, chunks: new Map() };
  }

  function recordOf(file) {
    const bytes = new Uint8Array(RECORD);
    const path = new TextEncoder().encode(file.path);
    bytes.set(path, PATH_AT);
    const words = new Uint32Array(bytes.buffer, 0, 4);
    words.set([0, file.tag, file.opened, path.length]);
    // While it is open it may grow: then what is sure, and the last chunk says the rest.
    const sure = file.length - (file.fd ? file.length % CHUNK : 0);
    new Float64Array(bytes.buffer, 16, 1)[0] = sure;
    words[0] = checkOf(bytes.subarray(4));
    return bytes;
  }

  /** The file of a record; null when there is none, or one that was not written to its end. */
  function fileOf(bytes, record) {
    const [check, tag, opened, pathLength] = new Uint32Array(bytes.buffer, bytes.byteOffset, 4);
    const [length] = new Float64Array(bytes.buffer, bytes.byteOffset + 16, 1);
    if (check !== checkOf(bytes.subarray(4)) || tag >= MAX_TAG) return null;
    const path = new TextDecoder().decode(bytes.subarray(PATH_AT, PATH_AT + pathLength));
    return Object.assign(newFile(path, tag, record), { opened, length });
  }

  /**
   * A file in it is an object: `path`, `tag`, the number of its `record` (-1 when it has no name
   * any more), `opened` (greater when it was opened later), `length` in bytes, `fd` (0 when it is
   * not open) and `chunks`, for each of its chunks the place here.
   */
  return class ChunkFile {
    static get CHUNK() {
      return CHUNK;
    }

    /** Bytes that a path may have. */
    static get MAX_PATH() {
      return RECORD - PATH_AT;
    }

    /** Takes over what is in the file, or begins anew where that is not ours or of another size. */
    constructor(handle, maxBytes) {
      this.handle = handle;
      this.size = Math.min(Math.floor(maxBytes / CHUNK), MAX_CHUNKS);
      /** Chunks that may be used: fewer than there are once the browser gives no more room. */
      this.limit = this.size;
      /** Chunks that the file has room for. */
      this.grown = 0;
      this.used = 0;
      /** Below it no chunk is free. */
      this.lowest = 0;
      const mapChunks = Math.ceil(this.size / ENTRIES_PER_CHUNK);
      this.map = new Uint32Array(2 * ENTRIES_PER_CHUNK * mapChunks);
      this.chunksAt = MAP_AT + this.map.byteLength;
      /** Files by the number of their record. */
      this.records = new Array(RECORDS).fill(null);
      this.lastTag = 0;
      /** Numbers of records, and of chunks of the map, that flush() has to write. */
      this.dirtyRecords = new Set();
      this.dirtyMap = new Set();
      /** Changed entries since. */
      this.changes = 0;
      if (this.isOurs()) this.load();
      else this.format();
    }

    isOurs() {
      const header = new Uint32Array(HEADER.length + 1);
      if (this.handle.getSize() < this.chunksAt) return false;
      this.read(header, 0);
      return [...HEADER, this.size].every((word, at) => word === header[at]);
    }

    /** The header comes last. */
    format() {
      this.handle.truncate(0);
      this.handle.truncate(this.chunksAt);
      this.write(new Uint32Array([...HEADER, this.size]), 0);
    }

    load() {
      const byTag = this.loadNames();
      this.read(this.map, MAP_AT);
      const grown = Math.floor((this.handle.getSize() - this.chunksAt) / CHUNK);
      this.grown = Math.min(grown, this.size);
      for (let n = 0; n < this.map.length / 2; n += 1) {
        const [tag, chunk] = this.map.subarray(2 * n, 2 * n + 2);
        const file = byTag.get(tag);
        if (file && n < this.grown && !file.chunks.has(chunk)) {
          file.chunks.set(chunk, n);
          this.used += 1;
          // The length is that of the last closing.
          if (chunk * CHUNK >= file.length) file.length = (chunk + 1) * CHUNK;
        } else if (tag !== 0) {
          if (tag < MAX_TAG) this.lastTag = Math.max(this.lastTag, tag);
          this.assign(n, 0, 0);
        }
      }
    }

    loadNames() {
      const names = new Uint8Array(RECORDS * RECORD);
      this.read(names, NAMES_AT);
      const byPath = new Map();
      for (let n = 0; n < RECORDS; n += 1) {
        const file = fileOf(names.subarray(n * RECORD, (n + 1) * RECORD), n);
        if (!file) continue;
        // A removal that was not recorded left the older of two.
        const other = byPath.get(file.path);
        if (!other || other.tag < file.tag) byPath.set(file.path, file);
      }
      const byTag = new Map();
      for (const file of byPath.values()) {
        this.records[file.record] = file;
        this.lastTag = Math.max(this.lastTag, file.tag);
        byTag.set(file.tag, file);
      }
      return byTag;
    }

    /** Chunks that are free. */
    get free() {
      return this.limit - this.used;
    }

    /** Whether flush() has something to write. */
    get isDirty() {
      return this.dirtyRecords.size + this.dirtyMap.size > 0;
    }

    /** A new file; null when there are too many. */
    create(path) {
      const record = this.records.indexOf(null);
      if (record < 0) return null;
      this.lastTag += 1;
      this.records[record] = newFile(path, this.lastTag, record);
      return this.records[record];
    }

    /** Takes the file's name away. */
    forget(file) {
      this.records[file.record] = null;
      this.dirtyRecords.add(file.record);
      file.record = -1;
    }

    /** Has the next flush() write what is known of a file. */
    touch(file) {
      if (file.record >= 0) this.dirtyRecords.add(file.record);
    }

    /** Gives the file a chunk; one must be free. */
    claim(file, chunk) {
      while (this.map[2 * this.lowest] !== 0) this.lowest += 1;
      this.assign(this.lowest, file.tag, chunk);
      file.chunks.set(chunk, this.lowest);
      this.used += 1;
    }

    /** Takes a chunk of the file's back. */
    release(file, chunk) {
      const n = file.chunks.get(chunk);
      if (n === undefined) return;
      file.chunks.delete(chunk);
      this.assign(n, 0, 0);
      this.used -= 1;
      this.lowest = Math.min(this.lowest, n);
    }

    assign(n, tag, chunk) {
      this.map.set([tag, chunk], 2 * n);
      this.dirtyMap.add(Math.floor(n / ENTRIES_PER_CHUNK));
      this.changes += 1;
    }

    /**
     * The pieces of a range of a file: `from` and `to` in the range, and `at` in our file, where
     * all of the piece lies; null where the file has no chunks.
     */
    piecesOf(file, offset, length) {
      const pieces = [];
      let last = null;
      for (let from = 0; from < length;) {
        const within = (offset + from) % CHUNK;
        const n = file.chunks.get((offset + from - within) / CHUNK);
        const at = n === undefined ? null : this.chunksAt + n * CHUNK + within;
        const to = Math.min(from + CHUNK - within, length);
        const next = last && last.at !== null ? last.at + last.to - last.from : null;
        if (last && at === next) {
          last.to = to;
        } else {
          last = { from, to, at };
          pieces.push(last);
        }
        from = to;
      }
      return pieces;
    }

    read(bytes, at) {
      if (this.handle.read(bytes, { at }) !== bytes.byteLength) throw new Error('the file was cut');
    }

    write(bytes, at) {
      if (this.handle.write(bytes, { at }) < bytes.byteLength) throw new Error('the disk is full');
    }

    /** Writes zeros to `length` bytes of one chunk; to all that are not there, nothing. */
    writeZeros(file, offset, length) {
      this.piecesOf(file, offset, length).forEach(({ from, to, at }) => {
        if (at !== null) this.write(ZEROS.subarray(0, to - from), at);
      });
    }

    /** Has the file grow ahead of its use: where a quota ends is known before a write fails. */
    grow(wanted) {
      let step = AHEAD;
      while (this.grown < this.limit && this.grown - this.used < wanted + AHEAD) {
        const chunks = Math.min(this.grown + step, this.limit);
        try {
          this.handle.truncate(this.chunksAt + chunks * CHUNK);
          this.grown = chunks;
        } catch (error) {
          if (error.name !== 'QuotaExceededError') throw error;
          if (step === 1) this.limit = this.grown;
          step = Math.ceil(step / 2);
        }
      }
    }

    /** Writes names and map where they changed. */
    flush() {
      for (const n of this.dirtyRecords) {
        const file = this.records[n];
        this.write(file ? recordOf(file) : ZEROS.subarray(0, RECORD), NAMES_AT + n * RECORD);
      }
      for (const n of this.dirtyMap) {
        this.write(new Uint8Array(this.map.buffer, n * CHUNK, CHUNK), MAP_AT + n * CHUNK);
      }
      this.dirtyRecords.clear();
      this.dirtyMap.clear();
      this.changes = 0;
    }
  };
})();
