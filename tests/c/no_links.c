/*
** no_links.c - a file system without hard links, preloaded (LD_PRELOAD).
*/
#include <errno.h>

int link(const char *from, const char *to){
  (void)from; (void)to;
  errno = EPERM;
  return -1;
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags){
  (void)from_dir; (void)from; (void)to_dir; (void)to; (void)flags;
  errno = EPERM;
  return -1;
}
