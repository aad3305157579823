/*
** static_init.c - registers LiteVFS when SQLite starts, for programs that link both statically.
**
** Compile SQLite with -DSQLITE_EXTRA_INIT=litevfs_extra_init and link this file and liblitevfs.a.
** Without a token in the environment nothing is registered and the program is plain SQLite: a
** failing start-up hook would keep it from opening any database at all.
*/
#include <stdlib.h>

#include "litevfs.h"

int litevfs_extra_init(const char *z_unused){
  const char *z_token = getenv("LITEFS_CLOUD_TOKEN");
  (void)z_unused;
  if( z_token==0 || z_token[0]==0 ) return 0; /* SQLITE_OK */
  return litevfs_static_init();
}
