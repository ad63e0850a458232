#include "origin.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "functions.h"
#include "set.h"

#define SERVED 256u /* powers of two */
#define BUCKETS 1024u
#define WAYS 8u
#define NAMES 8192u
#define TEXT 256

static ERL_NIF_TERM atom_erlang, atom_apply, atom_proc_lib, atom_init_p, atom_gen, atom_init_it, atom_task;
static ERL_NIF_TERM atom_init, atom_supervisor, atom_local, atom_global, atom_via, atom_nil;
static ERL_NIF_TERM key_mfa, key_initial, key_ancestors, key_name;
static _Atomic uint64_t served_words[SERVED];
static struct set served = {.words = served_words, .size = SERVED};
/* Compilers' processes come and go by the thousand: the latest are remembered. */
static _Atomic uint64_t compiling[BUCKETS][WAYS];
static _Atomic uint32_t turn[BUCKETS];
static _Atomic int compiled; /* whether there was ever one: a program that runs has mostly none */
static struct {
  _Atomic uint64_t name, pid;
} names[NAMES];
static _Atomic uint32_t name_count;

void origin_setup(ErlNifEnv *env) {
  atom_erlang = enif_make_atom(env, "erlang");
  atom_apply = enif_make_atom(env, "apply");
  atom_proc_lib = enif_make_atom(env, "proc_lib");
  atom_init_p = enif_make_atom(env, "init_p");
  atom_gen = enif_make_atom(env, "gen");
  atom_init_it = enif_make_atom(env, "init_it");
  atom_task = enif_make_atom(env, "Elixir.Task.Supervised");
  atom_init = enif_make_atom(env, "init");
  atom_supervisor = enif_make_atom(env, "supervisor");
  atom_local = enif_make_atom(env, "local");
  atom_global = enif_make_atom(env, "global");
  atom_via = enif_make_atom(env, "via");
  atom_nil = enif_make_atom(env, "nil");
  key_mfa = enif_make_atom(env, "mfa");
  key_initial = enif_make_atom(env, "initial");
  key_ancestors = enif_make_atom(env, "ancestors");
  key_name = enif_make_atom(env, "name");
}

void origin_forget(void) {
  set_forget(&served);
  memset((void *)compiling, 0, sizeof compiling);
  memset((void *)names, 0, sizeof names);
  atomic_store(&compiled, 0);
  atomic_store(&name_count, 0);
}

void origin_serves(ERL_NIF_TERM pid) { set_add(&served, pid); }

int origin_plumbing(ERL_NIF_TERM pid) {
  unsigned ways = atomic_load_explicit(&compiled, memory_order_relaxed) ? WAYS : 0;
  for (uint32_t n = 0; n < ways; n++)
    if (atomic_load_explicit(&compiling[set_place(pid) & (BUCKETS - 1)][n], memory_order_relaxed) == pid) return 1;
  return set_has(&served, pid);
}

void origin_name(ERL_NIF_TERM name, ERL_NIF_TERM pid) {
  for (uint32_t at = set_place(name);; at++) {
    uint64_t found = atomic_load_explicit(&names[at & (NAMES - 1)].name, memory_order_acquire);
    if (!found) {
      /* Half full, no more are remembered: slower, never wrong. */
      if (atomic_fetch_add(&name_count, 1) >= NAMES / 2) {
        atomic_fetch_sub(&name_count, 1);
        return;
      }
      if (atomic_compare_exchange_strong(&names[at & (NAMES - 1)].name, &found, name)) found = name;
      else atomic_fetch_sub(&name_count, 1);
    }
    if (found == name) {
      atomic_store_explicit(&names[at & (NAMES - 1)].pid, pid, memory_order_release);
      return;
    }
  }
}

ERL_NIF_TERM origin_named(ERL_NIF_TERM name) {
  for (uint32_t at = set_place(name);; at++) {
    uint64_t found = atomic_load_explicit(&names[at & (NAMES - 1)].name, memory_order_acquire);
    if (found == name) return atomic_load_explicit(&names[at & (NAMES - 1)].pid, memory_order_acquire);
    if (!found) return 0;
  }
}

/* --- what a process was spawned with, as ElixirScope.Capture.Origin sees it ---------------------------------------- */

/* Element `n` of a list from its start, or from its end when negative; 0 when there is none. */
static ERL_NIF_TERM nth(ErlNifEnv *env, ERL_NIF_TERM list, int n) {
  ERL_NIF_TERM head;
  unsigned length;
  if (n < 0) {
    if (!enif_get_list_length(env, list, &length) || length > 16) return 0;
    n += (int)length;
  }
  for (; enif_get_list_cell(env, list, &head, &list); n--)
    if (n == 0) return head;
  return 0;
}

static int tuple3(ErlNifEnv *env, ERL_NIF_TERM term, const ERL_NIF_TERM **elements) {
  int arity;
  return term && enif_get_tuple(env, term, &arity, elements) && arity == 3;
}

/* The module's atom, or the function whose module is meant; 0 when that cannot be told. */
static ERL_NIF_TERM code_of(ErlNifEnv *env, const ERL_NIF_TERM mfa[]) {
  const ERL_NIF_TERM *inner;
  if (mfa[0] == atom_erlang && mfa[1] == atom_apply) return nth(env, mfa[2], 0);
  if (mfa[0] != atom_proc_lib || mfa[1] != atom_init_p) return mfa[0];
  ERL_NIF_TERM module = nth(env, mfa[2], 2), function = nth(env, mfa[2], 3), args = nth(env, mfa[2], 4);
  if (!args) return module; /* a function */
  if (module == atom_gen && function == atom_init_it) return nth(env, args, -3);
  if (module == atom_task && tuple3(env, nth(env, args, -1), &inner)) return code_of(env, inner);
  return module;
}

static int begins(const char *name, const char *with) { return !strncmp(name, with, strlen(with)); }

static int serves(const char *name) {
  static const char *compilers[] = {"Elixir.Kernel.LexicalTracker",   "Elixir.Kernel.ParallelCompiler",
                                    "Elixir.Module.ParallelChecker", "Elixir.Module.LocalsTracker", "compile"};
  for (unsigned i = 0; i < sizeof compilers / sizeof *compilers; i++)
    if (!strcmp(name, compilers[i])) return 1;
  /* The code of a script, or of a file outside of modules, as Elixir names it. */
  if (begins(name, "elixir_compiler_")) return 0;
  return begins(name, "elixir_") || begins(name, "Elixir.ElixirScope.");
}

int origin_born(ErlNifEnv *env, ERL_NIF_TERM pid, ERL_NIF_TERM mfa) {
  const ERL_NIF_TERM *elements;
  char text[TEXT], *name = text;
  if (!tuple3(env, mfa, &elements)) return 0;
  ERL_NIF_TERM code = code_of(env, elements);
  if (!code) return 0;
  if (enif_is_fun(env, code)) {
    /* #Fun<Module.Index.Unique>: the only way to ask. */
    enif_snprintf(text, sizeof text, "%T", code);
    if (!begins(text, "#Fun<")) return 0;
    name += 5;
    for (int dots = 0; dots < 2; dots++) {
      char *dot = strrchr(name, '.');
      if (!dot) return 0;
      *dot = 0;
    }
  } else if (!enif_get_atom(env, code, text, sizeof text, ERL_NIF_LATIN1)) {
    return 0;
  }
  if (!serves(name)) return 0;
  uint32_t bucket = set_place(pid) & (BUCKETS - 1);
  atomic_store(&compiled, 1);
  if (!origin_plumbing(pid))
    atomic_store(&compiling[bucket][atomic_fetch_add(&turn[bucket], 1) % WAYS], pid);
  return 1;
}

/* --- the same as a value, word for word what ElixirScope.Capture.Origin makes of it --------------------------------- */

/* {Module, Function, length(Args)}; 0 when they are not so. */
static ERL_NIF_TERM counted(ErlNifEnv *env, ErlNifEnv *own, ERL_NIF_TERM module, ERL_NIF_TERM function,
                            ERL_NIF_TERM args) {
  unsigned arity;
  if (!enif_is_atom(env, module) || !enif_is_atom(env, function) || !enif_get_list_length(env, args, &arity)) return 0;
  return enif_make_tuple3(own, module, function, enif_make_uint(own, arity));
}

/* {Module, Name, Arity} of a function that Elixir has told about, out of what then stands for it. */
static ERL_NIF_TERM of_function(ErlNifEnv *own, ERL_NIF_TERM function) {
  unsigned long length;
  const uint8_t *bytes = functions_find(function, &length);
  uint8_t whole[256] = {131};
  const ERL_NIF_TERM *parts;
  ERL_NIF_TERM marker;
  int arity;
  if (!bytes || length >= sizeof whole) return 0;
  memcpy(whole + 1, bytes, length);
  if (!enif_binary_to_term(own, whole, length + 1, &marker, 0) || !enif_get_tuple(own, marker, &arity, &parts) ||
      arity != 5)
    return 0;
  return enif_make_tuple3(own, parts[2], parts[3], parts[4]);
}

static ERL_NIF_TERM server(ErlNifEnv *env, ErlNifEnv *own, ERL_NIF_TERM module, ERL_NIF_TERM args) {
  const ERL_NIF_TERM *named;
  ERL_NIF_TERM one = enif_make_uint(own, 1);
  if (module == atom_supervisor && tuple3(env, args, &named) && enif_is_atom(env, named[1]))
    return enif_make_tuple3(own, atom_supervisor, named[1], one);
  return enif_is_atom(env, module) ? enif_make_tuple3(own, module, atom_init, one) : 0;
}

static ERL_NIF_TERM registered(ErlNifEnv *env, ErlNifEnv *own, ERL_NIF_TERM name) {
  const ERL_NIF_TERM *parts;
  int arity;
  if (!enif_get_tuple(env, name, &arity, &parts)) return atom_nil;
  if (arity == 2 && parts[0] == atom_local) return enif_make_copy(own, parts[1]);
  if ((arity == 2 && parts[0] == atom_global) || (arity == 3 && parts[0] == atom_via)) return enif_make_copy(own, name);
  return atom_nil;
}

/* What Task.Supervised runs: the last of its arguments. */
static ERL_NIF_TERM task(ErlNifEnv *env, ErlNifEnv *own, ERL_NIF_TERM function, ERL_NIF_TERM args) {
  const ERL_NIF_TERM *mfa;
  if (!tuple3(env, nth(env, args, -1), &mfa)) return counted(env, own, atom_task, function, args);
  if (mfa[0] == atom_erlang && mfa[1] == atom_apply) {
    ERL_NIF_TERM run = nth(env, mfa[2], 0);
    if (run && enif_is_fun(env, run)) return of_function(own, run);
  }
  return counted(env, own, mfa[0], mfa[1], mfa[2]);
}

ERL_NIF_TERM origin_value(ErlNifEnv *env, ErlNifEnv *own, ERL_NIF_TERM told) {
  const ERL_NIF_TERM *mfa;
  ERL_NIF_TERM value, keys[4] = {key_mfa, key_initial, key_ancestors, key_name}, values[4] = {0};
  unsigned length, given;
  size_t size = 1;
  if (!tuple3(env, told, &mfa)) return 0;
  if (mfa[0] == atom_erlang && mfa[1] == atom_apply) {
    ERL_NIF_TERM run = nth(env, mfa[2], 0);
    if (!run || !enif_is_fun(env, run)) return 0;
    values[0] = of_function(own, run);
  } else if (mfa[0] == atom_proc_lib && mfa[1] == atom_init_p) {
    if (!enif_get_list_length(env, mfa[2], &length)) return 0;
    values[2] = enif_make_list_cell(own, enif_make_copy(own, nth(env, mfa[2], 0)), enif_make_copy(own, nth(env, mfa[2], 1)));
    if (length == 3) {
      if (!enif_is_fun(env, nth(env, mfa[2], 2))) return 0;
      values[0] = values[1] = of_function(own, nth(env, mfa[2], 2));
      size = 3;
    } else if (length == 5) {
      ERL_NIF_TERM module = nth(env, mfa[2], 2), function = nth(env, mfa[2], 3), args = nth(env, mfa[2], 4);
      if (!enif_get_list_length(env, args, &given)) return 0;
      int generic = module == atom_gen && function == atom_init_it && (given == 6 || given == 7);
      values[0] = counted(env, own, module, function, args);
      values[1] = generic               ? server(env, own, nth(env, args, -3), nth(env, args, -2))
                  : module == atom_task ? task(env, own, function, args)
                                        : counted(env, own, module, function, args);
      values[3] = generic && given == 7 ? registered(env, own, nth(env, args, 3)) : atom_nil;
      size = 4;
    } else {
      return 0;
    }
  } else {
    values[0] = counted(env, own, mfa[0], mfa[1], mfa[2]);
  }
  for (size_t i = 0; i < size; i++)
    if (!values[i]) return 0;
  return enif_make_map_from_arrays(own, keys, values, size, &value) ? value : 0;
}
