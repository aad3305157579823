// The network between clients and the server: it counts, and breaks what it is told to (faults.py).

import { fileURLToPath } from 'node:url';

import { Program } from './program.mjs';

const SCRIPT = fileURLToPath(new URL('faults.py', import.meta.url));

export class Network {
  static async to(server) {
    const network = new Network();
    network.program = new Program(process.env.PYTHON, ['-B', SCRIPT, new URL(server.url).port]);
    network.url = await network.program.line();
    return network;
  }

  async tell(what, more = {}) {
    this.program.write(JSON.stringify({ do: what, ...more }));
    return JSON.parse(await this.program.line());
  }

  // Faults: 'status' (with `status`, `body`, `hidden` from the page), 'cut' (half an answer),
  // 'lose' (done, but no answer), 'drop' (not even asked), 'silence'. For requests for `path`, any
  // if there is none, `times` times, for ever if there is none.
  break(fault, options = {}) {
    return this.tell('break', { fault, ...options });
  }

  heal() {
    return this.tell('heal');
  }

  down() {
    return this.tell('down');
  }

  up() {
    return this.tell('up');
  }

  // {requests: ['METHOD /path', ...], sent, received} since the last call; bytes are of bodies.
  counts() {
    return this.tell('counts');
  }

  close() {
    return this.program.close();
  }
}
