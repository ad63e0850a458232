#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

_Static_assert(offsetof(struct ring_file, head) == 64, "layout of the ring file");
_Static_assert(offsetof(struct ring_file, lost) == 128, "layout of the ring file");
_Static_assert(offsetof(struct ring_file, current) == 192, "layout of the ring file");
_Static_assert(offsetof(struct ring_file, first) == 256, "layout of the ring file");
_Static_assert(offsetof(struct ring_file, second) == 320, "layout of the ring file");
_Static_assert(offsetof(struct ring_file, link) == 384, "layout of the ring file");
_Static_assert(sizeof(struct ring_file) <= RING_HEADER, "layout of the ring file");

static _Atomic uint64_t room; /* bytes that rings may still grow by */

void ring_room(uint64_t bytes) { atomic_store(&room, bytes); }

static int take(uint64_t bytes) {
  uint64_t left = atomic_load_explicit(&room, memory_order_relaxed);
  while (left >= bytes)
    if (atomic_compare_exchange_weak(&room, &left, left - bytes)) return 1;
  return 0;
}

/* The records of a file, once more behind themselves. NULL: there is no memory for it. */
static uint8_t *map(int fd, uint64_t size) {
  uint8_t *data = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return NULL;
  for (int n = 0; n < 2; n++) /* no pages yet: the program waits to start */
    if (mmap(data + n * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, RING_HEADER) == MAP_FAILED) {
      munmap(data, 2 * size);
      return NULL;
    }
  return data;
}

uint64_t ring_free(const char *folder) {
  struct statvfs found;
  return statvfs(folder, &found) ? 0 : (uint64_t)found.f_bavail * found.f_frsize;
}

int ring_create(struct ring *ring, const char *path, uint64_t size, uint32_t shard, const char *link) {
  if (sysconf(_SC_PAGESIZE) > RING_HEADER) return ENOTSUP; /* the second mapping would not start on a page */
  int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  /* Held until this process is gone, by whatever end: then a recorder may read what is left. The file stays open. */
  int failed = flock(fd, LOCK_EX) ? errno : posix_fallocate(fd, 0, (off_t)(RING_HEADER + size));
  void *file = MAP_FAILED;
  if (!failed) {
    file = mmap(NULL, RING_HEADER, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ring->data = map(fd, size);
    if (file == MAP_FAILED || !ring->data) failed = ENOMEM;
  }
  if (failed) {
    if (file != MAP_FAILED) munmap(file, RING_HEADER);
    if (ring->data) munmap(ring->data, 2 * size);
    close(fd);
    unlink(path);
    return failed;
  }
  ring->file = file;
  ring->fd = fd;
  ring->size = size;
  ring->head = 0;
  ring->tail = 0;
  ring->stuck = 0;
  atomic_flag_clear(&ring->moving);
  ring->file->size = size;
  ring->file->shard = shard;
  ring->file->os_pid = (uint32_t)getpid();
  strncpy(ring->file->link, link, RING_LINK - 1);
  atomic_thread_fence(memory_order_release);
  memcpy(ring->file->magic, "ELXRING1", 8); /* last: without it there is nothing to recover */
  return 0;
}

void ring_hold(struct ring *ring) {
  while (atomic_flag_test_and_set_explicit(&ring->moving, memory_order_acquire)) sched_yield();
}

void ring_release(struct ring *ring) { atomic_flag_clear_explicit(&ring->moving, memory_order_release); }

int ring_grow(struct ring *ring) {
  uint64_t size = ring->size;
  if (ring->stuck || !take(size)) return 0;
  uint8_t *data = NULL;
  int failed = posix_fallocate(ring->fd, (off_t)(RING_HEADER + size), (off_t)size);
  if (!failed) data = map(ring->fd, 2 * size);
  if (!data) {
    atomic_fetch_add(&room, size);
    ring->stuck = failed != EINTR;
    return 0;
  }
#ifdef MADV_POPULATE_WRITE
  madvise(data, 2 * size, MADV_POPULATE_WRITE); /* where the kernel cannot, pages come when used */
#endif
  ring_hold(ring);
  if (ring->stuck) { /* it was abandoned, and the file has nothing of it */
    ring_release(ring);
    munmap(data, 4 * size);
    return 0;
  }
  /* A record stays where it lies, or comes into the new half: until the size is told all is as it was. */
  uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
  memcpy(data + (tail & (2 * size - 1)), ring->data + (tail & (size - 1)), ring->head - tail);
  atomic_store_explicit(&ring->file->size, 2 * size, memory_order_release);
  munmap(ring->data, 2 * size);
  ring->data = data;
  ring->size = 2 * size;
  ring_release(ring);
  return 1;
}

void ring_unmap(struct ring *ring) {
  munmap(ring->file, RING_HEADER);
  munmap(ring->data, 2 * ring->size);
  close(ring->fd);
  ring->file = NULL;
}

void ring_abandon(struct ring *ring) {
  int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
  ring_hold(ring);
  ring->stuck = 1;
  void *file = mmap(ring->file, RING_HEADER, PROT_READ | PROT_WRITE, how, -1, 0);
  void *data = mmap(ring->data, 2 * ring->size, PROT_READ | PROT_WRITE, how, -1, 0);
  if (file != MAP_FAILED && data != MAP_FAILED) /* else its blocks stay taken */
    while (ftruncate(ring->fd, 0) && errno == EINTR) {}
  ring_release(ring);
}

struct mark ring_mark(struct ring *ring) {
  struct ring_file *file = ring->file;
  return atomic_load_explicit(&file->current, memory_order_acquire) ? file->second : file->first;
}

void ring_advance(struct ring *ring, struct mark mark) {
  struct ring_file *file = ring->file;
  uint64_t other = !atomic_load_explicit(&file->current, memory_order_relaxed);
  *(other ? &file->second : &file->first) = mark;
  atomic_store_explicit(&file->current, other, memory_order_release);
  atomic_store_explicit(&ring->tail, mark.tail, memory_order_release);
}
