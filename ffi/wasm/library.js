// The functions that src/sys/emscripten/host.rs imports, made of what host.js has.
//
// An Emscripten JavaScript library (`emcc --js-library`), written for every emcc from 3.1.6 on. What is
// filled in the library is thin, because emcc rewrites it.

/* global mergeInto, LibraryManager, HEAPU8, litevfs */

mergeInto(LibraryManager.library, {
  litevfs_js_env__deps: ['$ENV'],
  litevfs_js_env: function (name, nameLength, value, room) {
    return litevfs.give(litevfs.variable(litevfs.text(name, nameLength)), value, room);
  },
  litevfs_js_unix_ms: function () { return Date.now(); },
  litevfs_js_running_ms: function () { return performance.now(); },
  litevfs_js_sleep: function (ms) { litevfs.sleep(ms); },
  litevfs_js_random: function (begin, length) { return Number(litevfs.random(begin, length)); },
  litevfs_js_log: function (level, begin, length) {
    litevfs.log(level, litevfs.text(begin, length));
  },
  litevfs_js_timer: function (call, argument, ms) {
    setTimeout(function () { {{{ makeDynCall('vi', 'call') }}}(argument); }, ms);
  },

  litevfs_js_file_open: function (path, length) {
    const name = litevfs.text(path, length);
    return litevfs.store(-1, (store) => store.openFile(name));
  },
  litevfs_js_file_close: function (fd) {
    litevfs.store(undefined, (store) => store.closeFile(fd));
  },
  litevfs_js_file_read: function (fd, begin, length, offset) {
    const bytes = HEAPU8.subarray(begin, begin + length);
    return Number(litevfs.store(false, (store) => store.readAt(fd, bytes, offset)));
  },
  litevfs_js_file_write: function (fd, begin, length, offset) {
    const bytes = HEAPU8.subarray(begin, begin + length);
    return Number(litevfs.store(false, (store) => store.writeAt(fd, bytes, offset)));
  },
  litevfs_js_file_length: function (fd) {
    return litevfs.store(0, (store) => store.length(fd));
  },
  litevfs_js_file_set_length: function (fd, length) {
    return Number(litevfs.store(false, (store) => store.setLength(fd, length)));
  },
  litevfs_js_file_punch: function (fd, offset, length) {
    return Number(litevfs.store(false, (store) => store.punch(fd, offset, length)));
  },
  litevfs_js_file_unlink: function (path, length) {
    const name = litevfs.text(path, length);
    litevfs.store(undefined, (store) => store.unlink(name));
  },
  litevfs_js_available: function () {
    return litevfs.store(-1, (store) => store.available());
  },

  litevfs_js_http_send: function (head, headLength, body, bodyLength, timeoutMs) {
    // A copy: a request's bytes must not lie in memory that may move.
    const bytes = HEAPU8.slice(body, body + bodyLength);
    return litevfs.send(litevfs.text(head, headLength), bytes, timeoutMs);
  },
  litevfs_js_http_status: function (answer) { return litevfs.answers.get(answer).status; },
  litevfs_js_http_body_len: function (answer) {
    const held = litevfs.answers.get(answer);
    return held.body ? held.body.length : 0;
  },
  litevfs_js_http_text: function (answer, begin, room) {
    return litevfs.give(litevfs.answers.get(answer).text, begin, room);
  },
  litevfs_js_http_read: function (answer, begin, room) {
    return litevfs.read(answer, begin, room);
  },
  litevfs_js_http_close: function (answer) { litevfs.answers.delete(answer); },
});
