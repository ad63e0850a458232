/* Preloaded into a VM, a disk that takes few bytes a second: as many as the file named by SLOW_DISK says, and as fast as
 * ever while there is no such file. Only what goes into frames waits. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int frames(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path);
  return length > 7 && !memcmp(path + length - 7, ".frames", 7);
}

static long rate(void) {
  const char *name = getenv("SLOW_DISK");
  FILE *file = name ? fopen(name, "r") : NULL;
  long bytes = 0;
  if (!file) return 0;
  if (fscanf(file, "%ld", &bytes) != 1) bytes = 0;
  fclose(file);
  return bytes;
}

static void wait_for(int fd, ssize_t bytes) {
  long slow = bytes > 0 && frames(fd) ? rate() : 0;
  if (!slow) return;
  double seconds = (double)bytes / (double)slow;
  struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&time, NULL);
}

ssize_t write(int fd, const void *data, size_t size) {
  static ssize_t (*next)(int, const void *, size_t);
  if (!next) next = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  ssize_t done = next(fd, data, size);
  wait_for(fd, done);
  return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  static ssize_t (*next)(int, const struct iovec *, int);
  if (!next) next = (ssize_t(*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
  ssize_t done = next(fd, parts, count);
  wait_for(fd, done);
  return done;
}
