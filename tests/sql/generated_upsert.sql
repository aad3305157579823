-- Generated columns, upserts, RETURNING, ALTER TABLE.
PRAGMA litevfs_acquire_lease;
CREATE TABLE g (id INTEGER PRIMARY KEY, w INTEGER, h INTEGER,
  area INTEGER GENERATED ALWAYS AS (w * h) STORED, label TEXT AS (w || 'x' || h) VIRTUAL);
CREATE INDEX g_label ON g (label);
INSERT INTO g (w, h) VALUES (2, 3), (4, 5) RETURNING id, area;
SELECT id FROM g WHERE label = '4x5';
CREATE TABLE counter (name TEXT PRIMARY KEY, n INTEGER DEFAULT 1);
INSERT INTO counter (name) VALUES ('a'), ('b');
INSERT INTO counter (name) VALUES ('a'), ('c') ON CONFLICT (name) DO UPDATE SET n = n + 1 RETURNING name, n;
INSERT INTO counter (name) VALUES ('b') ON CONFLICT DO NOTHING;
SELECT * FROM counter ORDER BY name;
ALTER TABLE counter RENAME TO hits;
ALTER TABLE hits RENAME COLUMN n TO times;
ALTER TABLE hits ADD COLUMN note TEXT DEFAULT 'none';
ALTER TABLE g DROP COLUMN area;
SELECT * FROM hits ORDER BY name;
SELECT name, sql FROM sqlite_schema ORDER BY name;
