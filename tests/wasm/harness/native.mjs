// A native client: the sqlite3 shell with the extension, a process that stays.

import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';

import { Program } from './program.mjs';

const { EXT, SQLITE3, TMP } = process.env;
const END = '-- that was all --';

export class Native {
  // A shell on a database of the server at `host`, with an empty cache.
  constructor(host, token, database) {
    const cache = mkdtempSync(join(TMP, 'cache.'));
    const env = { LITEFS_CLOUD_HOST: host, LITEFS_CLOUD_TOKEN: token, LITEVFS_CACHE_DIR: cache,
      LITEVFS_LOG_FILE: join(TMP, 'native.log') };
    // Errors in the order they come.
    const shell = `exec stdbuf -oL -eL "$0" "$@" 2>&1`;
    const open = ['-cmd', `.load ${EXT}`, '-cmd', `.open file:${database}?vfs=litevfs`];
    const args = ['-batch', '-init', '/dev/null', ...open];
    this.program = new Program('sh', ['-c', shell, SQLITE3, ...args], env);
  }

  // What the shell prints for these statements.
  async sql(text) {
    this.program.write(`${text};\n.print ${END}`);
    let output = '';
    for (let line; (line = await this.program.line()) !== END;) output += `${line}\n`;
    return output.trimEnd();
  }

  close() {
    return this.program.close();
  }
}
