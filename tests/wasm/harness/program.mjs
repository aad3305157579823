// A program beside the browser that is asked one thing after the other through its standard input.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { patiently } from './tab.mjs';

const programs = new Set();

export class Program {
  constructor(command, args, env = {}) {
    this.command = command;
    this.child = spawn(command, args, {
      env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.lines = createInterface(this.child.stdout)[Symbol.asyncIterator]();
    programs.add(this);
  }

  write(line) {
    this.child.stdin.write(`${line}\n`);
  }

  async line() {
    const { value, done } = await patiently(this.command, this.lines.next());
    if (done) throw new Error(`${this.command} has ended`);
    return value;
  }

  // Whatever happened to a test, no program stays.
  static killAll() {
    for (const { child } of programs) child.kill('SIGKILL');
    programs.clear();
  }

  async close() {
    programs.delete(this);
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.stdin.end();
    await patiently(`the end of ${this.command}`, gone);
  }
}

process.on('exit', () => Program.killAll());
