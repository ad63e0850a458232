#include "layout.h"

#include <stdlib.h>
#include <string.h>

static int counts_bits; /* as the VM does since OTP 27 */

int layout_setup(ErlNifEnv *env) {
  static const ErlNifSInt64 numbers[] = {0, 1, -1, 1234567890123, -(1ll << 59), (1ll << 59) - 1, 1ll << 59, INT64_MIN};
  ErlNifSysInfo system;
  enif_system_info(&system, sizeof system);
  counts_bits = atoi(system.otp_release) >= 27;
  for (unsigned n = 0; n < sizeof numbers / sizeof *numbers; n++) {
    ERL_NIF_TERM known = enif_make_int64(env, numbers[n]);
    int small = numbers[n] >= -(1ll << 59) && numbers[n] < 1ll << 59;
    if (small != ((known & SMALL_TAG) == SMALL_TAG) || (small && layout_make_int(env, numbers[n]) != known)) return 0;
  }
  ErlNifPid self;
  ERL_NIF_TERM ok = enif_make_atom(env, "ok");
  const ERL_NIF_TERM *elements;
  int arity;
  if (!layout_tuple(enif_make_tuple2(env, ok, ok), &arity, &elements) || arity != 2 || elements[1] != ok) return 0;
  return (ok & ATOM_MASK) == ATOM_TAG && enif_self(env, &self) && layout_local_pid(self.pid);
}

static void set(struct bits *bits, const void *data, uint64_t from, uint64_t to) {
  bits->data = (const uint8_t *)data + from / 8;
  bits->skip = from % 8;
  bits->bytes = (to - from) / 8;
  bits->rest = (to - from) % 8;
}

int layout_bits(ERL_NIF_TERM term, struct bits *bits) {
  const uint64_t *thing = layout_boxed(term);
  if (!thing) return 0;
  unsigned tag = thing[0] & 0x3F;
  if (counts_bits) {
    if (tag == 0x20) { /* on the heap: size, data */
      set(bits, thing + 2, 0, thing[1]);
    } else if (tag == 0x24) { /* a part, or outside of the heap: base and flags, start, end, the whole */
      const uint64_t *of = layout_boxed(thing[4]);
      if (!of) return 0;
      uint64_t base = thing[1] & ~(uint64_t)3;
      /* What is on the heap moves, and what something may be appended to too: the base is as it once was. */
      if ((of[0] & 0x3F) == 0x20) base = (uint64_t)(uintptr_t)(of + 2);
      else if (thing[1] & 3) base = of[1] + 32;
      set(bits, (const void *)(uintptr_t)base, thing[2], thing[3]);
    } else {
      return 0;
    }
    return 1;
  }
  if (tag == 0x20) { /* outside of the heap: size, two more, data */
    set(bits, (const void *)(uintptr_t)thing[4], 0, thing[1] * 8);
  } else if (tag == 0x24) { /* on the heap: size, data */
    set(bits, thing + 2, 0, thing[1] * 8);
  } else if (tag == 0x28) { /* a part: size, offset, then bits beyond and bit offset as bytes, the whole */
    const uint8_t *odd = (const uint8_t *)(thing + 3);
    struct bits whole;
    const uint64_t *of = layout_boxed(thing[4]);
    if (!of || (of[0] & 0x3F) == 0x28 || !layout_bits(thing[4], &whole)) return 0;
    uint64_t from = thing[2] * 8 + odd[1];
    set(bits, whole.data, from, from + thing[1] * 8 + odd[0]);
  } else {
    return 0;
  }
  return 1;
}

void layout_copy(uint8_t *to, const struct bits *bits, unsigned long count) {
  unsigned long whole = count < bits->bytes ? count : bits->bytes;
  if (!bits->skip) {
    memcpy(to, bits->data, whole);
  } else {
    for (unsigned long i = 0; i < whole; i++)
      to[i] = (uint8_t)(bits->data[i] << bits->skip | bits->data[i + 1] >> (8 - bits->skip));
  }
  if (whole == count) return;
  unsigned last = (unsigned)bits->data[whole] << bits->skip;
  if (bits->skip + bits->rest > 8) last |= bits->data[whole + 1] >> (8 - bits->skip);
  to[whole] = (uint8_t)(last & 0xFF00u >> bits->rest);
}

unsigned long layout_integer(ERL_NIF_TERM term) {
  const uint64_t *thing = layout_boxed(term);
  if (!thing || ((thing[0] & 0x3F) != 0x08 && (thing[0] & 0x3F) != 0x0C)) return 0;
  unsigned long words = thing[0] >> 6, bytes = words * 8;
  for (uint64_t top = thing[words]; bytes && !(top >> 56); top <<= 8) bytes--;
  return bytes < 256 ? 1 + 3 + bytes : 1 + 6 + bytes;
}
