/*
** fault_disk.c - a disk that fails, under the files of one folder.
**
** Preloaded (LD_PRELOAD), it counts the calls that open, read, write and cut files below FAULT_FOLDER, and
** fails the one that was asked for with fault_disk_arm(): once, or that one and all that follow. With `few`
** it counts only those that open and cut files and write much at once, which the extension itself does.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { NONE, FULL, IOERR, SHORT };

static char watched[65536];          /* by descriptor: below the folder */
static long armed_at;                /* the call that fails; 0 for none */
static int kind, lasts, few, has_fired;
static long calls;

void fault_disk_arm(long at, int what, int goes_on, int only_few){
  calls = 0;
  has_fired = 0;
  kind = what;
  lasts = goes_on;
  few = only_few;
  __atomic_store_n(&armed_at, at, __ATOMIC_SEQ_CST);
}

/* Ends it; whether a call has failed. */
int fault_disk_disarm(void){
  __atomic_store_n(&armed_at, 0, __ATOMIC_SEQ_CST);
  return has_fired;
}

/* What is to happen to this call. */
static int fault(int is_of_few){
  long at = __atomic_load_n(&armed_at, __ATOMIC_SEQ_CST);
  long n;
  if( at==0 || (few && !is_of_few) ) return NONE;
  n = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
  if( n<at || (n>at && !lasts) ){
    /* A short write is one because there is no room for the rest. */
    return n==at+1 && kind==SHORT ? FULL : NONE;
  }
  has_fired = 1;
  return kind;
}

static int is_watched(int fd){
  return fd>=0 && fd<(int)sizeof(watched) && watched[fd];
}

static int fails(int what, int is_write){
  errno = what==FULL && is_write ? ENOSPC : EIO;
  return what!=NONE;
}

#define REAL(name) \
  static __typeof__(&name) real; \
  if( real==0 ) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int opened(int fd, int is_below){
  if( fd>=0 && fd<(int)sizeof(watched) ) watched[fd] = is_below;
  return fd;
}

static int is_below(const char *path){
  const char *folder = getenv("FAULT_FOLDER");
  return folder && strncmp(path, folder, strlen(folder))==0;
}

#define MODE_OF(flags, mode) \
  if( (flags) & (O_CREAT|O_TMPFILE) ){ va_list ap; va_start(ap, flags); mode = va_arg(ap, int); va_end(ap); }

#define OPEN(name) \
int name(const char *path, int flags, ...){ \
  int mode = 0, below = is_below(path); \
  REAL(name); \
  MODE_OF(flags, mode) \
  if( below && fails(fault(1), 1) ) return -1; \
  return opened(real(path, flags, mode), below); \
}
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
int name(int at, const char *path, int flags, ...){ \
  int mode = 0, below = is_below(path); \
  REAL(name); \
  MODE_OF(flags, mode) \
  if( below && fails(fault(1), 1) ) return -1; \
  return opened(real(at, path, flags, mode), below); \
}
OPENAT(openat)
OPENAT(openat64)

int close(int fd){
  REAL(close);
  opened(fd, 0);
  return real(fd);
}

#define TRANSFER(name, buffer, is_write, params, args) \
ssize_t name params{ \
  REAL(name); \
  if( is_watched(fd) ){ \
    int what = fault(is_write && len>=16384); \
    if( what==SHORT && len>1 ) len /= 2; \
    else if( fails(what, is_write) ) return -1; \
  } \
  return real args; \
}
TRANSFER(pwrite, const void, 1, (int fd, const void *p, size_t len, off_t at), (fd, p, len, at))
TRANSFER(pwrite64, const void, 1, (int fd, const void *p, size_t len, off64_t at), (fd, p, len, at))
TRANSFER(pread, void, 0, (int fd, void *p, size_t len, off_t at), (fd, p, len, at))
TRANSFER(pread64, void, 0, (int fd, void *p, size_t len, off64_t at), (fd, p, len, at))
TRANSFER(write, const void, 1, (int fd, const void *p, size_t len), (fd, p, len))
TRANSFER(read, void, 0, (int fd, void *p, size_t len), (fd, p, len))

#define TRUNCATE(name, type) \
int name(int fd, type len){ \
  REAL(name); \
  if( is_watched(fd) && fails(fault(1), 0) ) return -1; \
  return real(fd, len); \
}
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)
