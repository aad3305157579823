/*
** names.c - see names.h.
*/
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "names.h"

#define MAX_PATHS 4096
#define MAX_LENGTH 4096

/* `count` databases of that path have been made; `z_name` is empty if the last one was deleted. */
static struct { int count; char *z_path; char *z_name; } table[MAX_PATHS];
static int n_table = 0;
static int changed = 0;
static int fd = -1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void stop(const char *z_why){
  fprintf(stderr, "names.c: %s\n", z_why);
  abort();
}

static int add(int count, const char *z_path, const char *z_name){
  if( n_table==MAX_PATHS ) stop("too many paths");
  table[n_table].count = count;
  table[n_table].z_path = strdup(z_path);
  table[n_table].z_name = strdup(z_name);
  return n_table++;
}

static int find(const char *z_path){
  int i;
  for(i=0; i<n_table; i++) if( strcmp(table[i].z_path, z_path)==0 ) return i;
  return -1;
}

static void rename_to(int i, const char *z_name){
  char *z_old = table[i].z_name;
  table[i].z_name = strdup(z_name);
  free(z_old);
  changed = 1;
}

void names_lock(void){
  char z_file[MAX_LENGTH], z_line[2*MAX_LENGTH];
  const char *z_folder = getenv("WIRE_FOLDER");
  FILE *file;
  pthread_mutex_lock(&mutex);
  if( z_folder==0 ) stop("WIRE_FOLDER is not set");
  snprintf(z_file, sizeof(z_file), "%s/names", z_folder);
  fd = open(z_file, O_RDWR|O_CREAT|O_CLOEXEC, 0644);
  if( fd<0 || flock(fd, LOCK_EX)!=0 ) stop("the table cannot be opened");
  for(; n_table>0; n_table--){
    free(table[n_table-1].z_path);
    free(table[n_table-1].z_name);
  }
  changed = 0;
  file = fdopen(dup(fd), "r");
  if( file==0 ) stop("the table cannot be read");
  while( fgets(z_line, sizeof(z_line), file) ){
    char *z_path = strchr(z_line, '\t');
    char *z_name = z_path ? strchr(z_path+1, '\t') : 0;
    char *z_end = z_name ? strchr(z_name, '\n') : 0;
    if( z_end==0 ) stop("the table is damaged");
    *z_path = *z_name = *z_end = 0;
    add(atoi(z_line), z_path+1, z_name+1);
  }
  fclose(file);
}

void names_unlock(void){
  int i;
  if( changed ){
    if( ftruncate(fd, 0)!=0 || lseek(fd, 0, SEEK_SET)!=0 ) stop("the table cannot be written");
    for(i=0; i<n_table; i++) dprintf(fd, "%d\t%s\t%s\n", table[i].count, table[i].z_path, table[i].z_name);
  }
  close(fd);
  pthread_mutex_unlock(&mutex);
}

const char *names_of_path(const char *z_path){
  int i = find(z_path);
  return i<0 || table[i].z_name[0]==0 ? 0 : table[i].z_name;
}

const char *names_of_name(const char *z_name){
  int i;
  for(i=0; i<n_table; i++) if( strcmp(table[i].z_name, z_name)==0 ) return table[i].z_path;
  return 0;
}

const char *names_make(const char *z_path){
  char z_name[MAX_LENGTH] = "";
  int i = find(z_path), n = 0;
  const char *z;
  if( i<0 ) i = add(0, z_path, "");
  if( ++table[i].count>1 ) n = snprintf(z_name, sizeof(z_name), "%d.", table[i].count);
  /* What a database's name may not have is written as "-" and two digits. */
  for(z=z_path; *z && n<MAX_LENGTH-4; z++){
    int plain = (*z>='a' && *z<='z') || (*z>='A' && *z<='Z') || (*z>='0' && *z<='9') || strchr("._-", *z);
    n += snprintf(&z_name[n], 4, plain ? "%c" : "-%02X", (unsigned char)*z);
  }
  rename_to(i, z_name);
  return table[i].z_name;
}

void names_forget(const char *z_path){
  int i = find(z_path);
  if( i>=0 ) rename_to(i, "");
}

void names_move(const char *z_from, const char *z_to){
  int i = find(z_from), k = find(z_to);
  if( i<0 || i==k ) return;
  /* What was made for the old path keeps its name, which is none that the new path can get: it counts on. */
  if( k<0 ) k = add(0, z_to, "");
  rename_to(k, table[i].z_name);
  rename_to(i, "");
}

int names_count(void){
  return n_table;
}

const char *names_path(int i){
  return table[i].z_name[0] ? table[i].z_path : 0;
}

void names_normal(const char *z_in, char *z_out, int n_out){
  char z_here[MAX_LENGTH], z_rest[2*MAX_LENGTH], z_full[2*MAX_LENGTH] = "";
  char *z_part, *z_state;
  size_t n_here;
  if( getcwd(z_here, sizeof(z_here))==0 ) z_here[0] = 0;
  snprintf(z_rest, sizeof(z_rest), "%s/%s", z_in[0]=='/' ? "" : z_here, z_in);
  for(z_part=strtok_r(z_rest, "/", &z_state); z_part; z_part=strtok_r(0, "/", &z_state)){
    if( strcmp(z_part, "..")==0 ){
      char *z_last = strrchr(z_full, '/');
      if( z_last ) *z_last = 0;
    }else if( strcmp(z_part, ".")!=0 ){
      strcat(strcat(z_full, "/"), z_part); /* never longer than z_rest */
    }
  }
  n_here = strlen(z_here);
  if( strncmp(z_full, z_here, n_here)==0 && z_full[n_here]=='/' ){
    snprintf(z_out, n_out, "%s", &z_full[n_here+1]);
  }else{
    snprintf(z_out, n_out, "%s", z_full);
  }
}
