/*
** fault_vfs.c - a VFS "faulty" on top of "litevfs" that fails the n-th call.
**
** A loadable extension. fault_vfs_arm() says which of the calls that open, read, write, cut, sync, announce
** and delete fails, and how: SQLITE_FULL, SQLITE_IOERR, or a short write. A call that fails does not reach the
** VFS below, but for the half of a short write. Everything else is passed on. With `few` it counts only those
** that begin and end a transaction: all but reads, writes, and the syncs of journals.
*/
#include <string.h>

#include "sqlite3ext.h"
SQLITE_EXTENSION_INIT1

enum { NONE, FULL, IOERR, SHORT };

typedef struct FaultyFile {
  sqlite3_file base;
  int is_main;
  /* The file of the VFS below follows. */
} FaultyFile;

#define BELOW(p) ((sqlite3_file*)((FaultyFile*)(p) + 1))
#define CALL(p, method) BELOW(p)->pMethods->method

static sqlite3_vfs *below, faulty;
static long armed_at, calls;
static int kind, lasts, few, has_fired;

void fault_vfs_arm(long at, int what, int goes_on, int only_few){
  armed_at = at;
  kind = what;
  lasts = goes_on;
  few = only_few;
  calls = 0;
  has_fired = 0;
}

int fault_vfs_disarm(void){
  armed_at = 0;
  return has_fired;
}

static int fault(int is_of_few){
  if( armed_at==0 || (few && !is_of_few) ) return NONE;
  if( ++calls<armed_at || (calls>armed_at && !lasts) ) return NONE;
  has_fired = 1;
  return kind;
}

static int code(int what){
  return what==NONE ? SQLITE_OK : what==IOERR ? SQLITE_IOERR : SQLITE_FULL;
}

static int xClose(sqlite3_file *p){
  int rc = CALL(p, xClose)(BELOW(p));
  p->pMethods = 0;
  return rc;
}
static int xRead(sqlite3_file *p, void *buf, int n, sqlite3_int64 at){
  /* Of the database SQLite reads much, and nothing can be lost by that. */
  if( !((FaultyFile*)p)->is_main && fault(0)!=NONE ) return SQLITE_IOERR_READ;
  return CALL(p, xRead)(BELOW(p), buf, n, at);
}
static int xWrite(sqlite3_file *p, const void *buf, int n, sqlite3_int64 at){
  int what = fault(0);
  /* What is written to the database in part is for litevfs to hold; SQLite writes whole pages there. */
  if( what==SHORT && !((FaultyFile*)p)->is_main ) CALL(p, xWrite)(BELOW(p), buf, n/2, at);
  if( what!=NONE ) return code(what);
  return CALL(p, xWrite)(BELOW(p), buf, n, at);
}
static int xTruncate(sqlite3_file *p, sqlite3_int64 n){
  int rc = code(fault(1));
  return rc ? rc : CALL(p, xTruncate)(BELOW(p), n);
}
static int xSync(sqlite3_file *p, int flags){
  int rc = code(fault(((FaultyFile*)p)->is_main));
  return rc ? rc : CALL(p, xSync)(BELOW(p), flags);
}
static int xFileSize(sqlite3_file *p, sqlite3_int64 *n){ return CALL(p, xFileSize)(BELOW(p), n); }
static int xLock(sqlite3_file *p, int lock){ return CALL(p, xLock)(BELOW(p), lock); }
static int xUnlock(sqlite3_file *p, int lock){ return CALL(p, xUnlock)(BELOW(p), lock); }
static int xCheck(sqlite3_file *p, int *out){ return CALL(p, xCheckReservedLock)(BELOW(p), out); }
static int xFileControl(sqlite3_file *p, int op, void *arg){
  int rc = SQLITE_OK;
  if( op==SQLITE_FCNTL_SYNC || op==SQLITE_FCNTL_COMMIT_PHASETWO ) rc = code(fault(1));
  return rc ? rc : CALL(p, xFileControl)(BELOW(p), op, arg);
}
static int xSectorSize(sqlite3_file *p){ return CALL(p, xSectorSize)(BELOW(p)); }
static int xDevice(sqlite3_file *p){ return CALL(p, xDeviceCharacteristics)(BELOW(p)); }

static const sqlite3_io_methods methods = {
  1, xClose, xRead, xWrite, xTruncate, xSync, xFileSize, xLock, xUnlock, xCheck, xFileControl,
  xSectorSize, xDevice, 0, 0, 0, 0, 0, 0
};

static int xOpen(sqlite3_vfs *v, const char *name, sqlite3_file *p, int flags, int *out){
  int rc;
  (void)v;
  memset(p, 0, sizeof(FaultyFile));
  rc = (flags & SQLITE_OPEN_MAIN_DB) ? SQLITE_OK : code(fault(1));
  if( rc!=SQLITE_OK ) return SQLITE_CANTOPEN;
  memset(BELOW(p), 0, below->szOsFile);
  rc = below->xOpen(below, name, BELOW(p), flags, out);
  if( rc==SQLITE_OK ) p->pMethods = &methods;
  ((FaultyFile*)p)->is_main = (flags & SQLITE_OPEN_MAIN_DB)!=0;
  return rc;
}
static int xDelete(sqlite3_vfs *v, const char *name, int sync){
  int rc = code(fault(1));
  (void)v;
  return rc ? SQLITE_IOERR_DELETE : below->xDelete(below, name, sync);
}
static int xAccess(sqlite3_vfs *v, const char *n, int f, int *o){ (void)v; return below->xAccess(below, n, f, o); }
static int xFull(sqlite3_vfs *v, const char *n, int len, char *o){ (void)v; return below->xFullPathname(below, n, len, o); }
static int xRandom(sqlite3_vfs *v, int n, char *o){ (void)v; return below->xRandomness(below, n, o); }
static int xSleep(sqlite3_vfs *v, int us){ (void)v; return below->xSleep(below, us); }
static int xTime(sqlite3_vfs *v, double *o){ (void)v; return below->xCurrentTime(below, o); }
static int xError(sqlite3_vfs *v, int n, char *o){ (void)v; return below->xGetLastError(below, n, o); }

int sqlite3_faultvfs_init(sqlite3 *db, char **error, const sqlite3_api_routines *api){
  (void)db;
  (void)error;
  SQLITE_EXTENSION_INIT2(api);
  below = sqlite3_vfs_find("litevfs");
  if( below==0 ) return SQLITE_ERROR;
  faulty.iVersion = 1;
  faulty.szOsFile = (int)sizeof(FaultyFile) + below->szOsFile;
  faulty.mxPathname = below->mxPathname;
  faulty.zName = "faulty";
  faulty.xOpen = xOpen;
  faulty.xDelete = xDelete;
  faulty.xAccess = xAccess;
  faulty.xFullPathname = xFull;
  faulty.xRandomness = xRandom;
  faulty.xSleep = xSleep;
  faulty.xCurrentTime = xTime;
  faulty.xGetLastError = xError;
  return sqlite3_vfs_register(&faulty, 0)==SQLITE_OK ? SQLITE_OK_LOAD_PERMANENTLY : SQLITE_ERROR;
}
