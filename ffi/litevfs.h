/*
** litevfs.h - the C entry points of LiteVFS.
**
** Loadable: sqlite3_load_extension() finds sqlite3_litevfs_init by the file name. Nothing here
** needs to be called by hand.
**
** Static: link liblitevfs.a (built with the feature `static`) beside SQLite and call
** litevfs_static_init() once after sqlite3_initialize(), or compile SQLite with
** -DSQLITE_EXTRA_INIT=litevfs_extra_init and ffi/static_init.c, which does it for you.
**
** All of them register the VFS `litevfs` for the whole process; a database is then opened as
** file:NAME?vfs=litevfs. Configuration comes from the environment (LITEFS_CLOUD_TOKEN and so on,
** see the README).
*/
#ifndef LITEVFS_H
#define LITEVFS_H

#ifdef __cplusplus
extern "C" {
#endif

struct sqlite3;
struct sqlite3_api_routines;

/*
** Registers the VFS without making it the default. Returns SQLITE_OK_LOAD_PERMANENTLY, or an
** error code with a message in *pz_err_msg that SQLite frees.
*/
int sqlite3_litevfs_init(
  struct sqlite3 *db,
  char **pz_err_msg,
  const struct sqlite3_api_routines *p_api
);

/*
** The same, and makes `litevfs` the default VFS: every database opened afterwards without a vfs=
** parameter is a LiteVFS database.
*/
int sqlite3_litevfs_init_default_vfs(
  struct sqlite3 *db,
  char **pz_err_msg,
  const struct sqlite3_api_routines *p_api
);

/*
** Registers the VFS in a program that links SQLite statically; SQLite's functions are found by the
** linker. Returns SQLITE_OK or an error code. Calling it again changes nothing.
*/
int litevfs_static_init(void);

#ifdef __cplusplus
}
#endif

#endif /* LITEVFS_H */
