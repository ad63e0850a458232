#include "ring.h"

#include <errno.h>
#include <fcntl.h>
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

static int map(struct ring *ring, int fd, uint64_t size) {
  size_t whole = RING_HEADER + 2 * size;
  /* One stretch of addresses, then the file over it and its records once more behind. */
  uint8_t *base = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return errno;
  int flags = MAP_SHARED | MAP_FIXED; /* no pages yet: the program waits to start */
  uint8_t *again = base + RING_HEADER + size;
  if (mmap(base, RING_HEADER + size, PROT_READ | PROT_WRITE, flags, fd, 0) == MAP_FAILED ||
      mmap(again, size, PROT_READ | PROT_WRITE, flags, fd, RING_HEADER) == MAP_FAILED) {
    int failed = errno;
    munmap(base, whole);
    return failed;
  }
  ring->file = (struct ring_file *)base;
  ring->data = base + RING_HEADER;
  ring->size = size;
  ring->fd = fd;
  ring->head = 0;
  atomic_store(&ring->tail, 0);
  return 0;
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
  int failed = flock(fd, LOCK_EX) ? errno : 0;
  /* Every block now: a disk that is full later would end the VM with SIGBUS. */
  if (!failed) failed = posix_fallocate(fd, 0, RING_HEADER + size);
  if (!failed) failed = map(ring, fd, size);
  if (failed) {
    close(fd);
    unlink(path);
    return failed;
  }
  ring->file->size = size;
  ring->file->shard = shard;
  ring->file->os_pid = (uint32_t)getpid();
  strncpy(ring->file->link, link, RING_LINK - 1);
  atomic_thread_fence(memory_order_release);
  memcpy(ring->file->magic, "ELXRING1", 8); /* last: without it there is nothing to recover */
  return 0;
}

void ring_warm(struct ring *ring) {
#ifdef MADV_POPULATE_WRITE
  /* A part at a time: others of this process may want to map something. Where the kernel cannot, pages come when used. */
  const uint64_t part = 1 << 20;
  for (uint64_t at = 0; at < ring->size && !madvise(ring->data + at, part, MADV_POPULATE_WRITE);) at += part;
#else
  (void)ring;
#endif
}

void ring_unmap(struct ring *ring) {
  munmap(ring->file, RING_HEADER + 2 * ring->size);
  close(ring->fd);
  ring->file = NULL;
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
