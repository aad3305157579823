/*
** load_ext.c - makes any program with SQLite in it use LiteVFS, without a word of its own.
**
** Linked with build/sqlite3.o, which calls litevfs_extra_init() when SQLite starts. With EXT in the
** environment the extension of that name is loaded as the default VFS, and LITEVFS_AUTO_LEASE=1 lets
** the program write; without EXT it is plain SQLite.
*/
#include <stdio.h>
#include <stdlib.h>

#include "sqlite3.h"

int litevfs_extra_init(const char *z_unused){
  const char *z_ext = getenv("EXT");
  const char *z_entry = "sqlite3_litevfs_init_default_vfs";
  sqlite3 *db = 0;
  char *z_error = 0;
  int rc;
  (void)z_unused;
  if( z_ext==0 || z_ext[0]==0 ) return SQLITE_OK;
  rc = sqlite3_open(":memory:", &db);
  if( rc==SQLITE_OK ) rc = sqlite3_enable_load_extension(db, 1);
  if( rc==SQLITE_OK ) rc = sqlite3_load_extension(db, z_ext, z_entry, &z_error);
  if( rc!=SQLITE_OK ) fprintf(stderr, "%s: %s\n", z_ext, z_error ? z_error : sqlite3_errmsg(db));
  sqlite3_free(z_error);
  sqlite3_close(db);
  return rc;
}
