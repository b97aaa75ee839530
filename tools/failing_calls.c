/* Calls that change what is on disk, one of which fails: loaded before the C library by tools/failing_calls.py.

   Counted are the calls that concern something below a folder: opening for writing, writing, syncing, and whatever makes
   or changes a name. Python and all libraries of other languages reach the system through these. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char root[PATH_MAX], told[PATH_MAX];
static long number, counted;
static int error, lasting;

/* From here on the n-th call below `folder` fails with this error; none where n is 0. With `last` so do all that would
   need more space, and the first to fail writes half of what it was given, as on a disk that is full. The call and its
   place are written into the file `where`, which is not below the folder. */
void failing_arm(const char *folder, long n, int code, int last, const char *where) {
  snprintf(root, sizeof root, "%s", folder);
  snprintf(told, sizeof told, "%s", where);
  number = n, error = code, lasting = last, counted = 0;
}
long failing_count(void) { return counted; }

__attribute__((constructor)) static void armed_by_environment(void) {
  const char *folder = getenv("FAILING_ROOT"), *n = getenv("FAILING_NUMBER"), *code = getenv("FAILING_ERROR");
  const char *where = getenv("FAILING_TOLD");
  if (folder && n && code && where) failing_arm(folder, atol(n), atoi(code), 0, where);
}

static int is_below(const char *path) {
  size_t length = strlen(root);
  return length && !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

/* Where a name that is relative to a folder lies. */
static void place_of(int folder, const char *name, char *place) {
  char link[64], base[PATH_MAX];
  if (name && name[0] == '/') { snprintf(place, PATH_MAX, "%s", name); return; }
  if (folder == AT_FDCWD) snprintf(link, sizeof link, "/proc/self/cwd");
  else snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
  ssize_t length = readlink(link, base, sizeof base - 1);
  base[length < 0 ? 0 : length] = 0;
  if (name) snprintf(place, PATH_MAX, "%.2000s/%.2000s", base, name);
  else snprintf(place, PATH_MAX, "%s", base);
}

static void tell(const char *call, const char *place) {
  FILE *file = fopen(told, "w");
  if (!file) abort();
  fprintf(file, "%s %s", call, place);
  fclose(file);
}

/* 1 where this call fails, 2 where it is a write and half of it succeeds. */
static int fails(const char *call, int folder, const char *name, int takes_space) {
  if (!root[0]) return 0;
  int saved = errno;
  char place[PATH_MAX];
  place_of(folder, name, place);
  errno = saved;
  if (!is_below(place)) return 0;
  long now = __sync_add_and_fetch(&counted, 1);
  if (!number || now < number || (now > number && !(lasting && takes_space))) return 0;
  if (now == number) tell(call, place);
  if (now == number && lasting && !strcmp(call, "write")) return 2;
  errno = error;
  return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define WRITES(flags) ((flags) & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))

#define OPEN(name)                                                            \
  int name(const char *path, int flags, ...) {                                \
    va_list rest; va_start(rest, flags);                                      \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;   \
    va_end(rest);                                                             \
    if (WRITES(flags) && fails("open", AT_FDCWD, path, 1)) return -1;         \
    return REAL(name)(path, flags, mode);                                     \
  }
#define OPENAT(name)                                                          \
  int name(int folder, const char *path, int flags, ...) {                    \
    va_list rest; va_start(rest, flags);                                      \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;   \
    va_end(rest);                                                             \
    if (WRITES(flags) && fails("open", folder, path, 1)) return -1;           \
    return REAL(name)(folder, path, flags, mode);                             \
  }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)

ssize_t write(int file, const void *content, size_t size) {
  int how = fails("write", file, NULL, 1);
  return how == 1 ? -1 : REAL(write)(file, content, how ? (size + 1) / 2 : size);
}
ssize_t pwrite64(int file, const void *content, size_t size, off64_t at) {
  return fails("pwrite", file, NULL, 1) ? -1 : REAL(pwrite64)(file, content, size, at);
}
ssize_t writev(int file, const struct iovec *pieces, int count) {
  return fails("writev", file, NULL, 1) ? -1 : REAL(writev)(file, pieces, count);
}
int fsync(int file) { return fails("fsync", file, NULL, 1) ? -1 : REAL(fsync)(file); }
int fdatasync(int file) { return fails("fsync", file, NULL, 1) ? -1 : REAL(fdatasync)(file); }
int ftruncate64(int file, off64_t size) { return fails("ftruncate", file, NULL, 1) ? -1 : REAL(ftruncate64)(file, size); }
int rename(const char *from, const char *to) {
  return fails("rename", AT_FDCWD, to, 0) ? -1 : REAL(rename)(from, to);
}
int renameat(int in, const char *from, int into, const char *to) {
  return fails("rename", into, to, 0) ? -1 : REAL(renameat)(in, from, into, to);
}
int mkdir(const char *path, mode_t mode) { return fails("mkdir", AT_FDCWD, path, 1) ? -1 : REAL(mkdir)(path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) {
  return fails("mkdir", folder, path, 1) ? -1 : REAL(mkdirat)(folder, path, mode);
}
int link(const char *from, const char *to) { return fails("link", AT_FDCWD, to, 1) ? -1 : REAL(link)(from, to); }
int linkat(int in, const char *from, int into, const char *to, int flags) {
  return fails("link", into, to, 1) ? -1 : REAL(linkat)(in, from, into, to, flags);
}
int symlink(const char *from, const char *to) { return fails("symlink", AT_FDCWD, to, 1) ? -1 : REAL(symlink)(from, to); }
int unlink(const char *path) { return fails("unlink", AT_FDCWD, path, 0) ? -1 : REAL(unlink)(path); }
int unlinkat(int folder, const char *path, int flags) {
  return fails("unlink", folder, path, 0) ? -1 : REAL(unlinkat)(folder, path, flags);
}
int rmdir(const char *path) { return fails("unlink", AT_FDCWD, path, 0) ? -1 : REAL(rmdir)(path); }
int chmod(const char *path, mode_t mode) { return fails("chmod", AT_FDCWD, path, 0) ? -1 : REAL(chmod)(path, mode); }
int fchmod(int file, mode_t mode) { return fails("chmod", file, NULL, 0) ? -1 : REAL(fchmod)(file, mode); }
