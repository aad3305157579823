/*
** names.h - which database a path of a test stands for.
**
** A test deletes test.db and makes it anew a hundred times, while the server keeps a name that was dropped
** for some seconds. So the first database of a path has the path's name, and the next ones 2.PATH, 3.PATH ...,
** where PATH is relative to the current folder if it can be. The table is the file $WIRE_FOLDER/names, a line
** "COUNT <tab> PATH <tab> NAME" each, without a name after a deletion. It is a file because a test's child
** processes open the same databases.
**
** Between names_lock() and names_unlock() no other thread or process has the table; the others may only
** be called in between. What they return lasts until names_unlock().
*/
void names_lock(void);
void names_unlock(void);

/* The name of a path, the path of a name; null if there is none. */
const char *names_of_path(const char *z_path);
const char *names_of_name(const char *z_name);

/* A name that never was, for the path. */
const char *names_make(const char *z_path);
void names_forget(const char *z_path);
void names_move(const char *z_from, const char *z_to);

/* All paths that ever had a name, from 0; null for one that has none now. */
int names_count(void);
const char *names_path(int i);

/* A path without "." and ".." in it, relative if it lies below the current folder. */
void names_normal(const char *z_in, char *z_out, int n_out);
