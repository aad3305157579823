/*
** kill_at.c - kill -9 at one of the calls that change names or make files durable.
**
** Preloaded (LD_PRELOAD). KILL_AT is the number of the call, KILL_WHEN `before` or `after`. Which calls there are:
** those that a program makes through the C library.
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long calls;

/* The number of a call. */
static long begin(void){
  return __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
}

static void at(long call, const char *when){
  const char *number = getenv("KILL_AT"), *asked = getenv("KILL_WHEN");
  if( number && asked && atol(number)==call && strcmp(asked, when)==0 ){
    kill(getpid(), SIGKILL);
    for(;;) pause();
  }
}

#define KILLED(result, name, types, args) \
  result name types { \
    result (*real) types = (result (*) types)dlsym(RTLD_NEXT, #name); \
    long call = begin(); \
    result done; \
    at(call, "before"); \
    done = real args; \
    at(call, "after"); \
    return done; \
  }

KILLED(int, rename, (const char *from, const char *to), (from, to))
KILLED(int, unlink, (const char *path), (path))
KILLED(int, fsync, (int fd), (fd))
KILLED(int, fdatasync, (int fd), (fd))
KILLED(int, ftruncate, (int fd, off_t len), (fd, len))
KILLED(int, ftruncate64, (int fd, off64_t len), (fd, len))
