-- Every storage class and the edges of each survive the way to the server and back.
PRAGMA litevfs_acquire_lease;
CREATE TABLE v (id INTEGER PRIMARY KEY, x);
INSERT INTO v (x) VALUES (NULL), (0), (1), (-1), (9223372036854775807), (-9223372036854775808),
  (127), (128), (32767), (32768), (8388607), (8388608), (2147483647), (2147483648),
  (140737488355327), (140737488355328), (0.0), (-0.5), (1.25e30), (2.5e-30), (3.0),
  (''), ('text'), (char(228, 8364, 128578)), ('a''b'), (x''), (x'00ff'), (zeroblob(10));
SELECT id, typeof(x), quote(x) FROM v ORDER BY id;
CREATE TABLE strict_one (i INTEGER, r REAL, t TEXT, b BLOB, a ANY) STRICT;
INSERT INTO strict_one VALUES (1, 2, 'x', x'01', 3.5);
INSERT INTO strict_one VALUES ('one', 2, 'x', x'01', 3.5);
SELECT quote(i), quote(r), quote(t), quote(b), quote(a) FROM strict_one;
