/* launch SECONDS INPUT OUTPUT ERRORS PROGRAM [ARGUMENT...]
 *
 * Runs a program and prints what it took: "wall user system maxrss status", seconds and KB. A large
 * parent would not do: until it runs something else a child counts its parent's memory as its own.
 * SIGALRM ends a program that is still there after SECONDS. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double seconds(struct timeval t) { return t.tv_sec + t.tv_usec / 1e6; }

static void redirect(int to, const char *path, int flags) {
    int file = open(path, flags, 0644);
    if (file < 0 || dup2(file, to) < 0) _exit(126);
    if (file != to) close(file);
}

int main(int argc, char **argv) {
    if (argc < 6) return 2;
    double start = now();
    pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) {
        redirect(0, argv[2], O_RDONLY);
        redirect(1, argv[3], O_WRONLY | O_CREAT | O_TRUNC);
        redirect(2, argv[4], O_WRONLY | O_CREAT | O_TRUNC);
        alarm((unsigned)atoi(argv[1]));
        execvp(argv[5], argv + 5);
        _exit(127);
    }
    int status;
    struct rusage used;
    if (wait4(child, &status, 0, &used) < 0) return 1;
    printf("%.6f %.6f %.6f %ld %d\n", now() - start, seconds(used.ru_utime), seconds(used.ru_stime),
           used.ru_maxrss, status);
    return 0;
}
