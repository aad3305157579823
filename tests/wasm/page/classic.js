// The worker for pages without modules: sqlite3.js by importScripts, then the same tools.
importScripts('/sqlite3/sqlite3.js');
import('/worker.mjs');
