-- The setting, in each form. What it does: tests/py/seeing.py.
PRAGMA litevfs_max_staleness;
PRAGMA litevfs_max_staleness = '1500ms';
PRAGMA litevfs_max_staleness;
SELECT count(*) FROM sqlite_schema;
PRAGMA litevfs_max_staleness = 2;
PRAGMA litevfs_max_staleness;
PRAGMA litevfs_max_staleness(OFF);
PRAGMA litevfs_max_staleness;
PRAGMA litevfs_max_staleness = 0;
PRAGMA litevfs_max_staleness;
PRAGMA litevfs_max_staleness = 'soon';
PRAGMA litevfs_last_error;
