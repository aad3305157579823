/*
** wire.c - SQLite's own tests with the extension as the default VFS.
**
** Linked into testfixture (testfixture.mk). With EXT in the environment the extension of that name is
** loaded when SQLite starts, as it is; without, testfixture is plain SQLite. Some methods of the VFS
** are wrapped, because a test thinks of its databases as files in the current folder:
**
**   xFullPathname  gives each path the name of a database (names.h). If there is a file of that path,
**                  which a test wrote or changed by hand, the file becomes the database
**   xOpen          forgets the name of a database that is not there
**   xCurrentTime   is that of SQLite's own VFS, whose clock the tests set
**
** The Tcl command [wire] is what rules.tcl needs to make databases look like files:
**
**   wire on          1 with the extension, 0 without
**   wire name PATH   the name of a path, empty if it has none
**   wire forget PATH the database of the path is "deleted"
**   wire move A B    the database is "renamed"
**   wire paths       all paths that have a name
*/
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <tcl.h>
#include <unistd.h>

#include "names.h"
#include "sqlite3.h"

#define MAX_LENGTH 4096
#define MAX_NAME 255

extern char **environ;
static sqlite3_vfs *plain = 0;
static int (*open_unwired)(sqlite3_vfs*, const char*, sqlite3_file*, int, int*) = 0;
static sqlite3_io_methods fresh_methods;
static int (*lock_unwired)(sqlite3_file*, int) = 0;

static const char *set_variable(const char *z_name){
  const char *z = getenv(z_name);
  return z && z[0] ? z : 0;
}

/* Makes a local file the database of that name. What the server refuses stays a file, and the test gets
** an empty database: lists/failing names the tests that notice. */
static void put(const char *z_name, const char *z_path){
  char *argv[] = { (char*)set_variable("WIRE_TRANSFER"), "put", (char*)z_name, (char*)z_path, 0 };
  pid_t pid;
  int status = 1;
  if( posix_spawn(&pid, argv[0], 0, 0, argv, environ)==0 ) waitpid(pid, &status, 0);
  if( status==0 ) unlink(z_path);
}

/* Whether SQLite's own VFS could have no file of that path: it is a folder, or in no folder. */
static int no_place(const char *z_path){
  char z_folder[MAX_LENGTH];
  char *z_slash;
  struct stat st;
  if( stat(z_path, &st)==0 && S_ISDIR(st.st_mode) ) return 1;
  snprintf(z_folder, sizeof(z_folder), "%s", z_path);
  z_slash = strrchr(z_folder, '/');
  if( z_slash==0 || z_slash==z_folder ) return 0;
  *z_slash = 0;
  return stat(z_folder, &st)!=0;
}

static int wire_full_pathname(sqlite3_vfs *vfs, const char *z_given, int n_out, char *z_out){
  char z_path[MAX_LENGTH];
  const char *z_name;
  struct stat st;
  int rc;
  (void)vfs;
  names_normal(z_given, z_path, sizeof(z_path));
  if( no_place(z_path) ){
    snprintf(z_out, n_out, "%s/", z_path); /* no database's name: xOpen refuses it */
    return SQLITE_OK;
  }
  names_lock();
  /* sqlite3_db_filename() gives tests the name; some open that. */
  z_name = names_of_name(z_path) ? z_path : names_of_path(z_path);
  if( z_name==0 ){
    z_name = names_make(z_path);
    if( stat(z_path, &st)==0 && S_ISREG(st.st_mode) && st.st_size>0 ) put(z_name, z_path);
  }
  rc = strlen(z_name)>MAX_NAME ? SQLITE_CANTOPEN : SQLITE_OK;
  snprintf(z_out, n_out, "%s", z_name);
  names_unlock();
  return rc;
}

/* With WIRE_FRESH every transaction sees what other processes have committed, as tests with several of them
** expect; otherwise that takes up to a second. The shortest period is 1 ms, and it is over when a transaction
** begins. */
static int fresh_lock(sqlite3_file *file, int level){
  if( level==SQLITE_LOCK_SHARED ) usleep(1100);
  return lock_unwired(file, level);
}

static int fresh_connection(sqlite3 *db, char **z_error, const void *api){
  (void)z_error; (void)api;
  sqlite3_busy_timeout(db, 5000);
  return SQLITE_OK;
}

static void make_fresh(sqlite3_file *file){
  char *argv[] = { 0, "litevfs_cache_sync_period", "1ms", 0 };
  file->pMethods->xFileControl(file, SQLITE_FCNTL_PRAGMA, argv);
  sqlite3_free(argv[0]);
  fresh_methods = *file->pMethods; /* the same for all main databases */
  lock_unwired = fresh_methods.xLock;
  fresh_methods.xLock = fresh_lock;
  file->pMethods = &fresh_methods;
}

static int wire_open(sqlite3_vfs *vfs, const char *z_name, sqlite3_file *file, int flags, int *flags_out){
  int rc = open_unwired(vfs, z_name, file, flags, flags_out);
  if( (flags & SQLITE_OPEN_MAIN_DB)==0 || z_name==0 ) return rc;
  if( rc==SQLITE_OK && set_variable("WIRE_FRESH") ) make_fresh(file);
  if( rc!=SQLITE_OK && (flags & SQLITE_OPEN_CREATE)==0 ){
    char z_path[MAX_LENGTH] = "";
    names_lock();
    if( names_of_name(z_name) ) snprintf(z_path, sizeof(z_path), "%s", names_of_name(z_name));
    names_forget(z_path);
    names_unlock();
  }
  return rc;
}

static int wire_current_time(sqlite3_vfs *vfs, double *days){
  (void)vfs;
  return plain->xCurrentTime(plain, days);
}

static int wire_current_time_int64(sqlite3_vfs *vfs, sqlite3_int64 *ms){
  (void)vfs;
  return plain->xCurrentTimeInt64(plain, ms);
}

/* SQLite calls this when it starts, also when a test stops it and starts it again. */
int wire_extra_init(const char *z_unused){
  const char *z_ext = set_variable("EXT");
  const char *z_entry = "sqlite3_litevfs_init_default_vfs";
  sqlite3 *db = 0;
  sqlite3_vfs *vfs;
  char *z_error = 0;
  int rc;
  (void)z_unused;
  if( z_ext==0 ) return SQLITE_OK;
  plain = sqlite3_vfs_find("unix");
  rc = sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE|SQLITE_OPEN_CREATE, "unix");
  if( rc==SQLITE_OK ) rc = sqlite3_enable_load_extension(db, 1);
  if( rc==SQLITE_OK ) rc = sqlite3_load_extension(db, z_ext, z_entry, &z_error);
  if( rc!=SQLITE_OK ) fprintf(stderr, "%s: %s\n", z_ext, z_error ? z_error : sqlite3_errmsg(db));
  sqlite3_free(z_error);
  sqlite3_close(db);
  if( rc!=SQLITE_OK ) return rc;
  vfs = sqlite3_vfs_find("litevfs");
  if( vfs->xOpen!=wire_open ){
    open_unwired = vfs->xOpen;
    vfs->xOpen = wire_open;
  }
  vfs->xFullPathname = wire_full_pathname;
  vfs->xCurrentTime = wire_current_time;
  vfs->xCurrentTimeInt64 = wire_current_time_int64;
  if( set_variable("WIRE_FRESH") ) sqlite3_auto_extension((void(*)(void))fresh_connection);
  return SQLITE_OK;
}

static int wire_command(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]){
  static const char *subcommands[] = { "on", "name", "forget", "move", "paths", 0 };
  static const int words[] = { 2, 3, 3, 4, 2 };
  char z_path[MAX_LENGTH], z_to[MAX_LENGTH];
  const char *z;
  Tcl_Obj *result;
  int i, k;
  (void)data;
  if( argc<2 || Tcl_GetIndexFromObj(interp, argv[1], subcommands, "subcommand", 0, &i)!=TCL_OK ) return TCL_ERROR;
  if( argc!=words[i] ){
    Tcl_WrongNumArgs(interp, 2, argv, "PATH ...");
    return TCL_ERROR;
  }
  if( i==0 ){
    Tcl_SetObjResult(interp, Tcl_NewIntObj(set_variable("EXT")!=0));
    return TCL_OK;
  }
  if( argc>2 ) names_normal(Tcl_GetString(argv[2]), z_path, sizeof(z_path));
  if( argc>3 ) names_normal(Tcl_GetString(argv[3]), z_to, sizeof(z_to));
  result = Tcl_NewObj();
  names_lock();
  switch( i ){
    case 1: z = names_of_path(z_path); if( z ) Tcl_SetStringObj(result, z, -1); break;
    case 2: names_forget(z_path); break;
    case 3: names_move(z_path, z_to); break;
    case 4:
      for(k=0; k<names_count(); k++){
        z = names_path(k);
        if( z ) Tcl_ListObjAppendElement(interp, result, Tcl_NewStringObj(z, -1));
      }
  }
  names_unlock();
  Tcl_SetObjResult(interp, result);
  return TCL_OK;
}

/* SQLite's function of that name, renamed by testfixture.mk: gives an interpreter the tests' commands. */
const char *unwired_test_init(Tcl_Interp *interp);

const char *sqlite3TestInit(Tcl_Interp *interp){
  const char *z_script = unwired_test_init(interp);
  const char *z_rules = set_variable("WIRE_RULES");
  Tcl_CreateObjCommand(interp, "wire", wire_command, 0, 0);
  if( z_rules && Tcl_EvalFile(interp, z_rules)!=TCL_OK ){
    fprintf(stderr, "%s: %s\n", z_rules, Tcl_GetStringResult(interp));
    exit(2);
  }
  return z_script;
}
