-- Foreign keys: immediate and deferred, cascades, the check at COMMIT that fails and is mended.
PRAGMA litevfs_acquire_lease;
PRAGMA foreign_keys = ON;
CREATE TABLE parent (id INTEGER PRIMARY KEY);
CREATE TABLE child (id INTEGER PRIMARY KEY, p REFERENCES parent ON DELETE CASCADE);
CREATE TABLE later (p REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
INSERT INTO parent VALUES (1), (2);
INSERT INTO child (p) VALUES (1), (1), (2);
INSERT INTO child (p) VALUES (3);
DELETE FROM parent WHERE id = 1;
SELECT * FROM child;
BEGIN;
INSERT INTO later VALUES (9);
COMMIT;
INSERT INTO parent VALUES (9);
COMMIT;
SELECT * FROM later;
PRAGMA foreign_key_check;
