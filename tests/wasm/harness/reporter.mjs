// Prints what scripts/test reads: a line a test, what went wrong, and the counts at the end.

import { basename } from 'node:path';

export default async function* report(events) {
  let passed = 0;
  let failed = 0;
  for await (const { type, data } of events) {
    if (type === 'test:stderr' || type === 'test:stdout') yield data.message;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details.type === 'suite') continue;
    // Node also reports a file that ended badly as a test of its name.
    const file = basename(data.file ?? '', '.test.mjs');
    const seconds = (data.details.duration_ms / 1000).toFixed(1);
    if (type === 'test:pass') {
      passed += 1;
      yield `ok   ${file}: ${data.name} (${seconds} s)\n`;
    } else {
      failed += 1;
      const cause = data.details.error?.cause ?? data.details.error;
      const text = String(cause?.stack ?? cause).split('\n').slice(0, 60);
      yield `FAIL ${file}: ${data.name} (${seconds} s)\n`;
      yield text.map((line) => `     | ${line}\n`).join('');
    }
  }
  yield `wasm: ${passed} passed, ${failed} failed\n`;
}
