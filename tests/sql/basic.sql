-- The first steps of a visitor: lease, table, rows, reading them back.
PRAGMA litevfs_acquire_lease;
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born INTEGER);
INSERT INTO person (name, born) VALUES ('Ada', 1815), ('Grace', 1906), ('Edsger', 1930);
SELECT * FROM person ORDER BY born;
UPDATE person SET name = 'Ada Lovelace' WHERE id = 1;
DELETE FROM person WHERE name = 'Edsger';
SELECT id, name FROM person;
SELECT changes(), total_changes(), last_insert_rowid();
SELECT count(*) FROM nowhere;
INSERT INTO person (name) VALUES (NULL);
SELECT count(*) FROM person;
PRAGMA integrity_check;
