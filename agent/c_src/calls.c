#include "calls.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "writer.h"

#define IDS 0x40000000u /* ids from here on are not limited */
#define BLOCK_BITS 12
#define IN_BLOCK ((1u << BLOCK_BITS) - 1)
#define PLACES 131072u
#define LANES 8 /* a power of two */

/* Zero pages until they are used. */
static _Atomic uint32_t blocks[IDS >> BLOCK_BITS]; /* where the places of a block begin; 0: it has none */
static struct {
  _Atomic int64_t cost;    /* of this second; when it is spent, it is only read: schedulers share it */
  _Atomic int64_t since;   /* when the first call was left out; of an earlier second, nothing */
  _Atomic int64_t limited; /* whether the site was announced and may be left out */
} places[PLACES];
/* What was left out. Threads count in lanes of their own, as far as there are some: a counter that two processors add to
 * costs each of them more than all else about a call that is only counted. */
static _Atomic uint32_t left_out[LANES][PLACES];
static _Atomic int64_t limit, turned = INT64_MIN;
static _Atomic int used; /* whether anything has a place: looking at all of them would bring them into memory */

static unsigned place_of(unsigned site) {
  uint32_t first = site < IDS ? atomic_load_explicit(&blocks[site >> BLOCK_BITS], memory_order_acquire) : 0;
  unsigned place = first ? first + (site & IN_BLOCK) : 0;
  return place < PLACES && atomic_load_explicit(&places[place].limited, memory_order_relaxed) ? place : 0;
}

int calls_spent(unsigned site) {
  unsigned place = place_of(site);
  if (!place) return 0;
  int64_t most = atomic_load_explicit(&limit, memory_order_relaxed);
  if (atomic_load_explicit(&places[place].cost, memory_order_relaxed) < most &&
      atomic_fetch_add_explicit(&places[place].cost, 1, memory_order_relaxed) < most)
    return 0;
  if (atomic_fetch_add_explicit(&left_out[writer_thread() & (LANES - 1)][place], 1, memory_order_relaxed) == 0) {
    /* The first of this thread; of another there may be one before. */
    int64_t since = atomic_load_explicit(&places[place].since, memory_order_relaxed);
    if (!since || since < atomic_load_explicit(&turned, memory_order_relaxed))
      atomic_store_explicit(&places[place].since, enif_monotonic_time(ERL_NIF_NSEC), memory_order_relaxed);
  }
  return 1;
}

void calls_cost(unsigned site, int64_t calls) {
  unsigned place = place_of(site);
  if (place) atomic_fetch_add_explicit(&places[place].cost, calls, memory_order_relaxed);
}

static ERL_NIF_TERM ok(ErlNifEnv *env) { return enif_make_atom(env, "ok"); }

/* calls_begin(): forgets all places. */
ERL_NIF_TERM calls_begin(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc, (void)argv;
  if (!atomic_exchange(&used, 0)) return ok(env);
  for (unsigned n = 0; n < IDS >> BLOCK_BITS; n++)
    if (blocks[n]) blocks[n] = 0;
  for (unsigned n = 0; n < PLACES; n++) {
    if (!places[n].limited) continue;
    memset(&places[n], 0, sizeof places[n]);
    for (unsigned lane = 0; lane < LANES; lane++) left_out[lane][n] = 0;
  }
  return ok(env);
}

/* calls_limit(calls): so many in a second. */
ERL_NIF_TERM calls_limit(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  ErlNifSInt64 calls;
  if (!enif_get_int64(env, argv[0], &calls)) return enif_make_badarg(env);
  atomic_store_explicit(&limit, calls, memory_order_relaxed);
  return ok(env);
}

/* calls_block(block, first): where its places begin. */
ERL_NIF_TERM calls_block(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  unsigned block, first;
  if (!enif_get_uint(env, argv[0], &block) || !enif_get_uint(env, argv[1], &first) || block >= IDS >> BLOCK_BITS ||
      first >= PLACES)
    return enif_make_badarg(env);
  atomic_store(&used, 1);
  atomic_store_explicit(&blocks[block], first, memory_order_release);
  return ok(env);
}

/* calls_place(place): its site may be left out. */
ERL_NIF_TERM calls_place(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  unsigned place;
  if (!enif_get_uint(env, argv[0], &place) || place >= PLACES) return enif_make_badarg(env);
  atomic_store(&used, 1);
  atomic_store_explicit(&places[place].limited, 1, memory_order_relaxed);
  return ok(env);
}

/* calls_charge(site, calls): one call of this site costs as much as so many. */
ERL_NIF_TERM calls_charge(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  unsigned site, calls;
  if (!enif_get_uint(env, argv[0], &site) || !enif_get_uint(env, argv[1], &calls)) return enif_make_badarg(env);
  calls_cost(site, calls);
  return ok(env);
}

/* calls_turn(taken): [{Place, Calls, Since}] of what was left out, in so many places; all begins anew. */
ERL_NIF_TERM calls_turn(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
  (void)argc;
  unsigned taken;
  if (!enif_get_uint(env, argv[0], &taken) || taken >= PLACES) return enif_make_badarg(env);
  ERL_NIF_TERM all = enif_make_list(env, 0);
  int64_t before = atomic_load_explicit(&turned, memory_order_relaxed);
  for (unsigned n = 1; n <= taken; n++) {
    if (!atomic_load_explicit(&places[n].cost, memory_order_relaxed)) continue;
    /* The time first: once the count is taken, that of the next second may come. It may also be a moment late. */
    int64_t calls = 0, since = atomic_exchange_explicit(&places[n].since, 0, memory_order_relaxed);
    atomic_store_explicit(&places[n].cost, 0, memory_order_relaxed);
    for (unsigned lane = 0; lane < LANES; lane++) /* most were never counted in, which looking alone can tell */
      if (atomic_load_explicit(&left_out[lane][n], memory_order_relaxed))
        calls += atomic_exchange_explicit(&left_out[lane][n], 0, memory_order_relaxed);
    if (calls)
      all = enif_make_list_cell(env,
                                enif_make_tuple3(env, enif_make_uint(env, n), enif_make_int64(env, calls),
                                                 enif_make_int64(env, since < before ? 0 : since)),
                                all);
  }
  atomic_store_explicit(&turned, enif_monotonic_time(ERL_NIF_NSEC), memory_order_relaxed);
  return all;
}
