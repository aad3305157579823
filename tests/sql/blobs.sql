-- Values over many pages: written, grown, shrunk, read from the middle.
PRAGMA litevfs_acquire_lease;
CREATE TABLE b (id INTEGER PRIMARY KEY, x BLOB, t TEXT);
INSERT INTO b VALUES (1, zeroblob(1000000), NULL);
WITH RECURSIVE n(i, s) AS (SELECT 1, '0123456789abcdef' UNION ALL SELECT i + 1, s || s FROM n WHERE i < 15)
INSERT INTO b SELECT 2, NULL, s FROM n WHERE i = 15;
SELECT id, length(x), length(t) FROM b;
SELECT substr(t, 131073, 20), substr(t, -5) FROM b WHERE id = 2;
UPDATE b SET x = CAST(x AS BLOB) || x'deadbeef' WHERE id = 1;
SELECT length(x), hex(substr(x, -5)) FROM b WHERE id = 1;
UPDATE b SET t = substr(t, 1, 10) WHERE id = 2;
SELECT * FROM b WHERE id = 2;
DELETE FROM b WHERE id = 1;
INSERT INTO b VALUES (3, zeroblob(500000) || x'01', 'after');
SELECT id, length(x), hex(substr(x, -2)), t FROM b ORDER BY id;
PRAGMA integrity_check;
