-- Freed pages are used again; the free list survives reopening.
PRAGMA litevfs_acquire_lease;
CREATE TABLE a (x); CREATE TABLE b (x);
INSERT INTO a SELECT zeroblob(3000) FROM json_each('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]');
PRAGMA page_count;
DELETE FROM a;
PRAGMA freelist_count;
.open @DB@
PRAGMA litevfs_acquire_lease;
INSERT INTO b SELECT zeroblob(3000) FROM json_each('[1,2,3,4,5,6,7,8,9,10]');
PRAGMA page_count;
PRAGMA freelist_count;
DROP TABLE a;
PRAGMA freelist_count;
SELECT count(*), sum(length(x)) FROM b;
PRAGMA integrity_check;
