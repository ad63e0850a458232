/* Rings into batches for frames. */
#include <string.h>

#include "writer.h"

static struct writer *reader(ErlNifEnv *env, ERL_NIF_TERM number) {
  unsigned n;
  return enif_get_uint(env, number, &n) && n < writer_count ? writers[n] : NULL;
}

/* drain(ring, limit): {Tail, Lost, [{Index, Pid}], Events, Values, Count, First, Last} or {empty, Lost}. The records
 * stay until `advance`. */
ERL_NIF_TERM drain(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  struct writer *w = reader(env, argv[0]);
  unsigned long limit;
  if (!w || !enif_get_ulong(env, argv[1], &limit)) return enif_make_badarg(env);
  struct ring *ring = &w->ring;
  uint64_t to = atomic_load_explicit(&ring->file->head, memory_order_acquire);
  uint64_t from = atomic_load_explicit(&ring->tail, memory_order_relaxed);
  ERL_NIF_TERM lost = enif_make_uint64(env, atomic_load_explicit(&ring->file->lost, memory_order_relaxed));
  if (to == from) return enif_make_tuple2(env, enif_make_atom(env, "empty"), lost);
  ring_hold(ring);
  uint64_t at, values_size = 0;
  unsigned count = 0;
  struct event event;
  uint32_t head[2], body[2];
  for (at = from; at < to && at - from < limit; at += head[0]) {
    const uint8_t *record = ring->data + (at & (ring->size - 1));
    memcpy(head, record, 8);
    if (head[1] != RECORD_EVENT) continue;
    memcpy(&event, record + RECORD_HEAD, EVENT_BYTES);
    values_size += event.value_length;
    count++;
  }
  to = at;
  ERL_NIF_TERM events, values, processes = enif_make_list(env, 0);
  uint8_t *e = enif_make_new_binary(env, (size_t)count * EVENT_BYTES, &events);
  uint8_t *v = enif_make_new_binary(env, values_size, &values);
  uint32_t offset = 0;
  int64_t first = 0, last = 0;
  for (at = from; at < to; at += head[0]) {
    const uint8_t *record = ring->data + (at & (ring->size - 1));
    memcpy(head, record, 8);
    if (head[1] == RECORD_PROCESS) {
      ERL_NIF_TERM encoded;
      memcpy(body, record + RECORD_HEAD, 8);
      uint8_t *pid = enif_make_new_binary(env, 1 + body[1], &encoded);
      pid[0] = 131;
      memcpy(pid + 1, record + RECORD_HEAD + 8, body[1]);
      processes = enif_make_list_cell(env, enif_make_tuple2(env, enif_make_uint(env, body[0]), encoded), processes);
      continue;
    }
    memcpy(&event, record + RECORD_HEAD, EVENT_BYTES);
    memcpy(v + offset, record + RECORD_HEAD + EVENT_BYTES, event.value_length);
    event.value_offset = offset;
    offset += event.value_length;
    if (!last) first = event.ts;
    last = event.ts;
    memcpy(e, &event, EVENT_BYTES);
    e += EVENT_BYTES;
  }
  ring_release(ring);
  return enif_make_tuple8(env, enif_make_uint64(env, to), lost, processes, events, values, enif_make_uint(env, count),
                          enif_make_int64(env, first), enif_make_int64(env, last));
}

/* lost_by(ring): [{Pid, Count}] of events that were dropped since the last time, as far as it is known whose they were:
 * no more than the ring has lost by then. */
ERL_NIF_TERM lost_by(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  struct writer *w = reader(env, argv[0]);
  if (!w) return enif_make_badarg(env);
  ERL_NIF_TERM all = enif_make_list(env, 0);
  for (unsigned n = 0; n < LOSERS; n++) {
    if (!atomic_load_explicit(&w->losers[n].count, memory_order_relaxed)) continue;
    ERL_NIF_TERM pid = atomic_load_explicit(&w->losers[n].pid, memory_order_relaxed); /* a local one: a word */
    ERL_NIF_TERM count = enif_make_uint64(env, atomic_exchange_explicit(&w->losers[n].count, 0, memory_order_acq_rel));
    if (pid && pid == atomic_load_explicit(&w->losers[n].pid, memory_order_relaxed))
      all = enif_make_list_cell(env, enif_make_tuple2(env, pid, count), all);
  }
  return all;
}

/* advance(ring, tail, file_bytes, lost_told, events): what was drained is safe. */
ERL_NIF_TERM advance(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  struct writer *w = reader(env, argv[0]);
  ErlNifUInt64 tail, bytes, lost, events;
  if (!w || !enif_get_uint64(env, argv[1], &tail) || !enif_get_uint64(env, argv[2], &bytes) ||
      !enif_get_uint64(env, argv[3], &lost) || !enif_get_uint64(env, argv[4], &events))
    return enif_make_badarg(env);
  ring_advance(&w->ring, (struct mark){tail, bytes, lost, events});
  return enif_make_atom(env, "ok");
}

/* mark(ring): {Tail, FileBytes, LostTold, Events}. */
ERL_NIF_TERM mark(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  struct writer *w = reader(env, argv[0]);
  if (!w) return enif_make_badarg(env);
  struct mark m = ring_mark(&w->ring);
  return enif_make_tuple4(env, enif_make_uint64(env, m.tail), enif_make_uint64(env, m.file_bytes),
                          enif_make_uint64(env, m.lost_told), enif_make_uint64(env, m.events));
}
