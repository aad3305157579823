-- Every other pragma that asks or sets something, with a write in between: what plain SQLite answers.
PRAGMA litevfs_acquire_lease;
PRAGMA foreign_keys = ON;
CREATE TABLE p (id INTEGER PRIMARY KEY, x UNIQUE);
CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p (id) ON DELETE CASCADE, x TEXT COLLATE NOCASE);
CREATE INDEX c_x ON c (x DESC);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO p SELECT i, hex(zeroblob(i)) FROM n;
INSERT INTO c SELECT id, id, x FROM p;
.print analysis_limit
PRAGMA analysis_limit;
.print application_id
PRAGMA application_id;
.print auto_vacuum
PRAGMA auto_vacuum;
.print automatic_index
PRAGMA automatic_index;
.print busy_timeout
PRAGMA busy_timeout;
.print cache_size
PRAGMA cache_size;
.print cache_spill
PRAGMA cache_spill;
.print cell_size_check
PRAGMA cell_size_check;
.print checkpoint_fullfsync
PRAGMA checkpoint_fullfsync;
.print count_changes
PRAGMA count_changes;
.print data_version
PRAGMA data_version;
.print default_cache_size
PRAGMA default_cache_size;
.print defer_foreign_keys
PRAGMA defer_foreign_keys;
.print empty_result_callbacks
PRAGMA empty_result_callbacks;
.print encoding
PRAGMA encoding;
.print foreign_key_check
PRAGMA foreign_key_check;
.print foreign_keys
PRAGMA foreign_keys;
.print freelist_count
PRAGMA freelist_count;
.print full_column_names
PRAGMA full_column_names;
.print fullfsync
PRAGMA fullfsync;
.print hard_heap_limit
PRAGMA hard_heap_limit;
.print ignore_check_constraints
PRAGMA ignore_check_constraints;
.print incremental_vacuum
PRAGMA incremental_vacuum;
.print journal_mode
PRAGMA journal_mode;
.print journal_size_limit
PRAGMA journal_size_limit;
.print legacy_alter_table
PRAGMA legacy_alter_table;
.print legacy_file_format
PRAGMA legacy_file_format;
.print locking_mode
PRAGMA locking_mode;
.print max_page_count
PRAGMA max_page_count;
.print optimize
PRAGMA optimize;
.print page_count
PRAGMA page_count;
.print page_size
PRAGMA page_size;
.print query_only
PRAGMA query_only;
.print quick_check
PRAGMA quick_check;
.print read_uncommitted
PRAGMA read_uncommitted;
.print recursive_triggers
PRAGMA recursive_triggers;
.print reverse_unordered_selects
PRAGMA reverse_unordered_selects;
.print schema_version
PRAGMA schema_version;
.print secure_delete
PRAGMA secure_delete;
.print short_column_names
PRAGMA short_column_names;
.print shrink_memory
PRAGMA shrink_memory;
.print soft_heap_limit
PRAGMA soft_heap_limit;
.print synchronous
PRAGMA synchronous;
.print temp_store
PRAGMA temp_store;
.print temp_store_directory
PRAGMA temp_store_directory;
.print trusted_schema
PRAGMA trusted_schema;
.print user_version
PRAGMA user_version;
.print wal_autocheckpoint
PRAGMA wal_autocheckpoint;
.print wal_checkpoint
PRAGMA wal_checkpoint;
.print writable_schema
PRAGMA writable_schema;
.print foreign_key_list(c)
PRAGMA foreign_key_list(c);
.print index_info(c_x)
PRAGMA index_info(c_x);
.print index_list(c)
PRAGMA index_list(c);
.print index_xinfo(c_x)
PRAGMA index_xinfo(c_x);
.print table_info(c)
PRAGMA table_info(c);
.print table_xinfo(c)
PRAGMA table_xinfo(c);
.print application_id = 77
PRAGMA application_id = 77;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print user_version = -5
PRAGMA user_version = -5;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print schema_version = 500
PRAGMA schema_version = 500;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print cache_size = 5
PRAGMA cache_size = 5;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print cache_spill = off
PRAGMA cache_spill = off;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print cache_spill = on
PRAGMA cache_spill = on;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print cache_spill = 20
PRAGMA cache_spill = 20;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print cell_size_check = on
PRAGMA cell_size_check = on;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print fullfsync = on
PRAGMA fullfsync = on;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print checkpoint_fullfsync = 1
PRAGMA checkpoint_fullfsync = 1;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print journal_size_limit = 1000
PRAGMA journal_size_limit = 1000;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print max_page_count = 5000
PRAGMA max_page_count = 5000;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print max_page_count
PRAGMA max_page_count;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print secure_delete = on
PRAGMA secure_delete = on;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print secure_delete = fast
PRAGMA secure_delete = fast;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print secure_delete = off
PRAGMA secure_delete = off;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print synchronous = off
PRAGMA synchronous = off;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print synchronous = extra
PRAGMA synchronous = extra;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print synchronous = normal
PRAGMA synchronous = normal;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print query_only = on
PRAGMA query_only = on;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print query_only = off
PRAGMA query_only = off;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print read_uncommitted = 1
PRAGMA read_uncommitted = 1;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print temp_store = memory
PRAGMA temp_store = memory;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print wal_checkpoint(truncate)
PRAGMA wal_checkpoint(truncate);
UPDATE c SET x = x || 'y' WHERE id = 3;
.print wal_checkpoint(passive)
PRAGMA wal_checkpoint(passive);
UPDATE c SET x = x || 'y' WHERE id = 3;
.print writable_schema = on
PRAGMA writable_schema = on;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print writable_schema = reset
PRAGMA writable_schema = reset;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print optimize(-1)
PRAGMA optimize(-1);
UPDATE c SET x = x || 'y' WHERE id = 3;
.print shrink_memory
PRAGMA shrink_memory;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print encoding = 'UTF-16'
PRAGMA encoding = 'UTF-16';
UPDATE c SET x = x || 'y' WHERE id = 3;
.print encoding
PRAGMA encoding;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print page_size = 512
PRAGMA page_size = 512;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print default_cache_size = 100
PRAGMA default_cache_size = 100;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print soft_heap_limit = 10000000
PRAGMA soft_heap_limit = 10000000;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print integrity_check(5)
PRAGMA integrity_check(5);
UPDATE c SET x = x || 'y' WHERE id = 3;
.print integrity_check(c)
PRAGMA integrity_check(c);
UPDATE c SET x = x || 'y' WHERE id = 3;
.print quick_check(p)
PRAGMA quick_check(p);
UPDATE c SET x = x || 'y' WHERE id = 3;
.print foreign_key_check(c)
PRAGMA foreign_key_check(c);
UPDATE c SET x = x || 'y' WHERE id = 3;
.print case_sensitive_like = on
PRAGMA case_sensitive_like = on;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print busy_timeout = 100
PRAGMA busy_timeout = 100;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print analysis_limit = 10
PRAGMA analysis_limit = 10;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print defer_foreign_keys = on
PRAGMA defer_foreign_keys = on;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print main.journal_mode
PRAGMA main.journal_mode;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print main.page_count
PRAGMA main.page_count;
UPDATE c SET x = x || 'y' WHERE id = 3;
.print max_page_count = 1
PRAGMA max_page_count = 1;
UPDATE c SET x = x || 'y' WHERE id = 3;
-- A limit on pages is one: this does not fit.
PRAGMA max_page_count = 200;
INSERT INTO p VALUES (999, zeroblob(10000000));
PRAGMA max_page_count = 1000000;
ANALYZE; SELECT count(*) FROM sqlite_stat1; REINDEX; REINDEX c_x; PRAGMA optimize;
SELECT name, sum(pgsize) > 0 FROM dbstat GROUP BY name ORDER BY name;
SELECT * FROM pragma_page_size; SELECT * FROM pragma_journal_mode; SELECT * FROM pragma_integrity_check;
DELETE FROM p WHERE id > 100;
SELECT count(*), sum(length(x)) FROM c;
