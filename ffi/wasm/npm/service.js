/**
 * What the worker does with a message: starts SQLite with the first, answers the others as SQLite's
 * own worker1 does (worker1.js). Besides, it is what LiteVFS asks: for the token to send, and
 * whether to go on.
 */
import { Cancellation } from './cancellation.js';
import { describe } from './failure.js';
import { Worker1 } from './worker1.js';

/**
 * What SQLite warns of and nobody needs: a VFS that is left out, an error that its caller is told.
 */
const IDLE_WARNINGS = /^(Ignoring inability to install OPFS|sqlite3_step\(\) rc=)/;

export class Service {
  #start;
  #post;
  #ready;
  #onReady;
  #litevfs;
  #cancellation = new Cancellation();
  /** The newest token by the one a database was opened with. */
  #tokens = new Map();
  /** What LiteVFS told us while the message at hand was answered. */
  #told = { refused: new Set(), errors: [] };
  #isBusy = false;

  /**
   * `initModule`: sqlite3.mjs; `module`: what it is given on this platform; `post`: where answers
   * go.
   */
  constructor({ initModule, module = {}, post }) {
    this.#post = post;
    this.#start = (litevfs) => {
      Object.assign(litevfs, module.litevfs);
      return initModule({ ...module, litevfs });
    };
    this.#ready = new Promise((resolve, reject) => {
      this.#onReady = { resolve, reject };
    });
  }

  receive(message) {
    switch (message.type) {
      case 'litevfs-config':
        this.#configure(message.args);
        break;
      case 'litevfs-flag':
        this.#cancellation.flag = message.args;
        break;
      case 'litevfs-token':
        this.#tokens.set(message.args.opened, message.args.newest);
        break;
      default:
        this.#ready.then((worker1) => this.#answer(worker1, message), () => {});
    }
  }

  async #configure({ flag, ...config }) {
    this.#cancellation.flag = flag;
    this.#litevfs = {
      ...config,
      log: (level, text) => this.#log(level, text),
      tokenFor: (opened) => this.#tokens.get(opened) ?? opened,
      refused: (opened) => {
        this.#told.refused.add(opened);
        return false;
      },
      isCancelled: () => this.#cancellation.isCancelled(),
    };
    globalThis.sqlite3ApiConfig = {
      warn: (...args) => IDLE_WARNINGS.test(args[0]) || console.warn(...args),
    };
    try {
      const sqlite3 = await this.#start(this.#litevfs);
      this.#onReady.resolve(new Worker1(sqlite3, this.#post, this.#cancellation));
      this.#post({ type: 'sqlite3-api', result: 'worker1-ready' });
    } catch (error) {
      this.#onReady.reject(error);
      const result = { operation: 'litevfs-config', message: String(error?.message ?? error) };
      this.#post({ type: 'error', messageId: 'litevfs-config', result });
    }
  }

  #log(level, text) {
    // What fails a statement is told to its caller; between statements nobody is there to tell.
    if (level === 'error' && this.#isBusy) this.#told.errors.push(text);
    else console[level](text);
  }

  #answer(worker1, message) {
    const arrivalTime = performance.now();
    this.#told = { refused: new Set(), errors: [] };
    this.#isBusy = true;
    const transfer = [];
    let { type, dbId } = message;
    let result;
    try {
      result = message.type === 'litevfs-counters' ? this.#counters()
        : worker1.run(message, transfer);
    } catch (error) {
      type = 'error';
      const seen = { ...this.#told, isCancelled: this.#cancellation.wasSeen };
      result = describe(error, message, worker1, seen);
    }
    this.#isBusy = false;
    dbId ??= result.dbId ?? worker1.defaultDbId;
    const { messageId, departureTime } = message;
    const answer = {
      type, dbId, messageId, workerReceivedTime: arrivalTime,
      workerRespondTime: performance.now(), departureTime, result,
    };
    if (this.#told.refused.size) answer.refused = [...this.#told.refused];
    this.#post(answer, transfer);
  }

  #counters() {
    const { counters = {}, notice = null } = this.#litevfs;
    return { counters: { ...counters }, notice };
  }
}
