/* A ring of records in a mapped file: one writer, one reader, and whoever opens the file after the VM has died.
 *
 * File: one page of header, then `size` bytes of records (a power of two). Positions only ever grow; a record lies at
 * position modulo size. Records are multiples of 8 bytes: u32 length, u32 kind, then the body. A ring is small while its
 * reader keeps up, and doubles when it does not. All of it has blocks: a store without one would end the VM.
 *
 *   0 "ELXRING1"   8 size u64: what is in it lies as in one of that size   16 shard u32   20 os pid u32
 *  64 head u64: records before it are whole                               (written by the writer)
 * 128 lost u64: events for which there was no room, ever                  (written by the writer)
 * 192 current u64: which of the two marks below holds, 0 or 1             (written by the reader)
 * 256, 320 mark: tail u64, then as of there: bytes of the frame file, losses told, events written
 * 384 link: where the recording names this file, with a zero at its end
 */
#ifndef ELIXIRSCOPE_RING_H
#define ELIXIRSCOPE_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define RING_HEADER 4096
#define RECORD_HEAD 8
#define RING_AHEAD 131072 /* more than any record has */
#define RING_LINK 3584 /* bytes of that name at most */
enum { RECORD_EVENT = 1, RECORD_PROCESS = 2 };

struct mark {
  uint64_t tail, file_bytes, lost_told, events;
};

struct ring_file {
  char magic[8];
  _Atomic uint64_t size;
  uint32_t shard, os_pid;
  _Alignas(64) _Atomic uint64_t head;
  _Alignas(64) _Atomic uint64_t lost;
  _Alignas(64) _Atomic uint64_t current;
  _Alignas(64) struct mark first;
  _Alignas(64) struct mark second;
  _Alignas(64) char link[RING_LINK];
};

struct ring {
  struct ring_file *file;
  uint8_t *data; /* mapped twice in a row, so that no record is ever split */
  uint64_t size;
  uint64_t head; /* the writer's own copy */
  _Atomic uint64_t tail;
  atomic_flag moving; /* held by who reads records, or moves them */
  int fd;
  _Atomic int stuck;  /* it does not grow any more: the disk is full, or it was abandoned */
};

/* Makes the file at `path` with its first blocks, maps it. 0, or an errno; then nothing is left behind. */
int ring_create(struct ring *ring, const char *path, uint64_t size, uint32_t shard, const char *link);
/* How many bytes are free in a folder; 0 where that cannot be told. */
uint64_t ring_free(const char *folder);
/* So many bytes are there for all rings to grow by, together. */
void ring_room(uint64_t bytes);
/* Doubles it, if there is room; whether it has. For the writer alone. */
int ring_grow(struct ring *ring);
/* For the reader, around looking at `data` and `size`. */
void ring_hold(struct ring *ring);
void ring_release(struct ring *ring);
/* Unmaps and closes; the file stays. */
void ring_unmap(struct ring *ring);
/* Gives its blocks back, and has memory of nobody's in their place: for a writer that may be in the middle. */
void ring_abandon(struct ring *ring);

/* Where the writer may write, and how much. Nothing of it is seen before `ring_commit`. */
static inline uint8_t *ring_space(struct ring *ring, uint64_t *room) {
  *room = atomic_load_explicit(&ring->tail, memory_order_acquire) + ring->size - ring->head;
  if (*room < RING_AHEAD && ring_grow(ring)) *room += ring->size / 2;
  return ring->data + (ring->head & (ring->size - 1));
}

/* Publishes `bytes` (a multiple of 8) that were written to `ring_space`. */
static inline void ring_commit(struct ring *ring, uint64_t bytes) {
  ring->head += bytes;
  atomic_store_explicit(&ring->file->head, ring->head, memory_order_release);
}

/* One writer at a time: no need to lock the processor's bus. */
static inline void ring_lose(struct ring *ring) {
  uint64_t lost = atomic_load_explicit(&ring->file->lost, memory_order_relaxed);
  atomic_store_explicit(&ring->file->lost, lost + 1, memory_order_relaxed);
}

/* What the reader has brought to safety. */
struct mark ring_mark(struct ring *ring);
/* Sets it: in the file first, as a whole, and only then may the writer use the room. */
void ring_advance(struct ring *ring, struct mark mark);

#endif
