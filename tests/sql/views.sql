-- Views, with columns named and through other views; one that lost its table says so.
PRAGMA litevfs_acquire_lease;
CREATE TABLE item (id INTEGER PRIMARY KEY, price INTEGER, kind TEXT);
INSERT INTO item (price, kind) VALUES (10, 'a'), (20, 'b'), (30, 'a'), (40, 'c');
CREATE VIEW by_kind (kind, total) AS SELECT kind, sum(price) FROM item GROUP BY kind;
CREATE VIEW dear AS SELECT * FROM by_kind WHERE total >= 40;
SELECT * FROM by_kind ORDER BY kind;
SELECT * FROM dear ORDER BY kind;
DROP VIEW by_kind;
SELECT * FROM dear;
CREATE VIEW by_kind AS SELECT kind, max(price) AS total FROM item GROUP BY kind;
SELECT * FROM dear ORDER BY kind;
