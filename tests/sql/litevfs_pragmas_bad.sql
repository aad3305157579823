-- A bad value is refused with a message that names the range, and the old value stays.
PRAGMA litevfs_min_available_space = 'lots';
PRAGMA litevfs_min_available_space = -1;
PRAGMA litevfs_min_available_space;
PRAGMA litevfs_max_cached_pages = 'many';
PRAGMA litevfs_max_cached_pages = -5;
PRAGMA litevfs_max_cached_pages;
PRAGMA litevfs_max_reqs_per_query = 1025;
PRAGMA litevfs_max_reqs_per_query = '64x';
PRAGMA litevfs_max_reqs_per_query;
PRAGMA litevfs_cache_sync_period = 'soon';
PRAGMA litevfs_cache_sync_period = '-1s';
PRAGMA litevfs_cache_sync_period;
PRAGMA litevfs_max_prefetch_pages = 129;
PRAGMA litevfs_max_prefetch_pages = '';
PRAGMA litevfs_max_prefetch_pages;
SELECT 'still fine';
