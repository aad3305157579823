-- Triggers of each time and event, INSTEAD OF on a view, RAISE, recursion.
PRAGMA litevfs_acquire_lease;
CREATE TABLE acct (id INTEGER PRIMARY KEY, amount INTEGER);
CREATE TABLE log (what TEXT, old, new);
CREATE TRIGGER ins AFTER INSERT ON acct BEGIN INSERT INTO log VALUES ('insert', NULL, new.amount); END;
CREATE TRIGGER upd AFTER UPDATE OF amount ON acct WHEN new.amount <> old.amount
  BEGIN INSERT INTO log VALUES ('update', old.amount, new.amount); END;
CREATE TRIGGER del BEFORE DELETE ON acct BEGIN INSERT INTO log VALUES ('delete', old.amount, NULL); END;
CREATE TRIGGER low BEFORE UPDATE ON acct WHEN new.amount < 0
  BEGIN SELECT RAISE(ABORT, 'amount below zero'); END;
INSERT INTO acct (amount) VALUES (100), (50);
UPDATE acct SET amount = amount - 60;
UPDATE acct SET amount = amount - 40;
DELETE FROM acct WHERE id = 2;
SELECT * FROM acct;
SELECT * FROM log;
CREATE VIEW totals AS SELECT sum(amount) AS s FROM acct;
CREATE TRIGGER set_total INSTEAD OF UPDATE ON totals
  BEGIN UPDATE acct SET amount = new.s WHERE id = 1; END;
UPDATE totals SET s = 7;
SELECT amount FROM acct WHERE id = 1;
