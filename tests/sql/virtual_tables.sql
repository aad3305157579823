-- FTS5, R-Tree and JSON keep their data in ordinary tables; these live in the cloud too.
PRAGMA litevfs_acquire_lease;
CREATE VIRTUAL TABLE doc USING fts5 (title, body);
INSERT INTO doc VALUES ('one', 'the quick brown fox'), ('two', 'jumps over the lazy dog'),
  ('three', 'quick quick dog');
SELECT title FROM doc WHERE doc MATCH 'quick' ORDER BY rank;
DELETE FROM doc WHERE title = 'one';
INSERT INTO doc (doc) VALUES ('optimize');
SELECT title FROM doc WHERE doc MATCH 'dog' ORDER BY title;
CREATE VIRTUAL TABLE box USING rtree (id, x0, x1, y0, y1);
INSERT INTO box VALUES (1, 0, 1, 0, 1), (2, 5, 6, 5, 6), (3, 0.5, 5.5, 0.5, 5.5);
SELECT id FROM box WHERE x1 >= 5 AND x0 <= 5.2 ORDER BY id;
CREATE TABLE j (doc TEXT CHECK (json_valid(doc)));
INSERT INTO j VALUES ('{"a":[1,2,{"b":"c"}]}'), ('{"a":null}');
INSERT INTO j VALUES ('{broken');
SELECT json_extract(doc, '$.a[2].b') FROM j;
SELECT key, value FROM j, json_each(j.doc, '$.a') WHERE j.rowid = 1;
INSERT INTO doc (doc) VALUES ('integrity-check');
