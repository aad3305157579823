-- Queries that sort and keep intermediate results, on rows that come over the network.
PRAGMA litevfs_acquire_lease;
CREATE TABLE sale (day INTEGER, shop TEXT, amount INTEGER);
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
INSERT INTO sale SELECT i / 10, 'shop' || (i % 3), (i * 37) % 101 FROM n;
SELECT shop, sum(amount), rank() OVER (ORDER BY sum(amount) DESC) FROM sale GROUP BY shop ORDER BY shop;
SELECT day, amount, sum(amount) OVER (ORDER BY day, rowid ROWS 2 PRECEDING) FROM sale WHERE day < 1;
WITH RECURSIVE fib(a, b) AS (SELECT 0, 1 UNION ALL SELECT b, a + b FROM fib WHERE b < 100)
SELECT group_concat(a) FROM fib;
SELECT count(*) FROM sale a JOIN sale b ON a.day = b.day AND a.shop < b.shop;
SELECT max(day) FROM sale WHERE amount IN (SELECT amount FROM sale WHERE shop = 'shop2' ORDER BY amount DESC LIMIT 3);
