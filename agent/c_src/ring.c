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

#define PART (4 * RING_AHEAD) /* blocks are made so many bytes at a time: a small program needs no more */

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
  ring->size = ring->mapped = size;
  ring->fd = fd;
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
  uint64_t first = size < PART ? size : PART;
  if (!failed) failed = ftruncate(fd, (off_t)(RING_HEADER + size)) ? errno : 0;
  if (!failed) failed = posix_fallocate(fd, 0, (off_t)(RING_HEADER + first));
  if (!failed) failed = map(ring, fd, size);
  if (failed) {
    close(fd);
    unlink(path);
    return failed;
  }
  ring->head = 0;
  ring->tail = 0;
  ring->stuck = 0;
  ring->ready = ring->limit = first;
  atomic_flag_clear(&ring->changing);
  ring->file->size = size;
  ring->file->shard = shard;
  ring->file->os_pid = (uint32_t)getpid();
  strncpy(ring->file->link, link, RING_LINK - 1);
  atomic_thread_fence(memory_order_release);
  memcpy(ring->file->magic, "ELXRING1", 8); /* last: without it there is nothing to recover */
  return 0;
}

static void begin(struct ring *ring) {
  while (atomic_flag_test_and_set_explicit(&ring->changing, memory_order_acquire)) sched_yield();
}

/* Sets the limit by what has changed. */
static void end(struct ring *ring) {
  uint64_t limit = atomic_load_explicit(&ring->tail, memory_order_relaxed) + ring->size;
  uint64_t ready = atomic_load_explicit(&ring->ready, memory_order_relaxed);
  atomic_store_explicit(&ring->limit, ready < ring->size && ready < limit ? ready : limit, memory_order_release);
  atomic_flag_clear_explicit(&ring->changing, memory_order_release);
}

/* There will be no more blocks. When nothing is in it, the writer can go on in those that there are. */
static void settle(struct ring *ring) {
  uint64_t ready = ring->ready, size = RING_AHEAD;
  if (ring->head != ring->tail) return;
  while (2 * size <= ready) size *= 2;
  if (mmap(ring->data + size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, ring->fd, RING_HEADER) == MAP_FAILED)
    return;
  ring->file->size = ring->size = size; /* before the next head is published */
  ring->ready = size;
}

/* The next part, in the time of whoever calls. The disk may be full by now. */
static void more(struct ring *ring) {
  uint64_t ready = ring->ready;
  int failed = posix_fallocate(ring->fd, (off_t)(RING_HEADER + ready), PART);
  if (failed && failed != EINTR) ring->stuck = 1;
  if (failed) return;
#ifdef MADV_POPULATE_WRITE
  madvise(ring->data + ready, PART, MADV_POPULATE_WRITE); /* where the kernel cannot, pages come when used */
#endif
  ring->ready = ready + PART;
}

void ring_grow(struct ring *ring) {
  if (ring->stuck && ring->head != ring->tail) return;
  begin(ring);
  if (ring->ready < ring->size && !ring->stuck) more(ring);
  if (ring->ready < ring->size && ring->stuck) settle(ring);
  end(ring);
}

uint64_t ring_ahead(struct ring *ring) {
  uint64_t head = atomic_load_explicit(&ring->file->head, memory_order_relaxed);
  for (;;) {
    begin(ring);
    uint64_t ready = ring->ready;
    int enough = ready >= 2 * head + PART, last = ready >= ring->size || ring->stuck;
    if (!enough && !last) more(ring);
    end(ring);
    if (last) return UINT64_MAX;
    if (enough) return (ready - PART) / 2 + RING_AHEAD;
  }
}

void ring_unmap(struct ring *ring) {
  munmap(ring->file, RING_HEADER + 2 * ring->mapped);
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
  begin(ring);
  atomic_store_explicit(&ring->tail, mark.tail, memory_order_relaxed);
  end(ring);
}
