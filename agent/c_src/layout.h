/* What the VM's own layout of terms tells at no cost. Asking for a binary that is being appended to makes the VM copy
 * it at the next append, one that starts in the middle of a byte is copied as a whole, and nothing tells the size of a
 * large integer. Checked at load against terms of every sort.
 */
#ifndef ELIXIRSCOPE_LAYOUT_H
#define ELIXIRSCOPE_LAYOUT_H

#include <erl_nif.h>
#include <stdint.h>

/* A bit string: `bytes` whole ones and `rest` bits, of which the first is `skip` bits into `data`. */
struct bits {
  const uint8_t *data;
  unsigned long bytes;
  unsigned skip, rest;
};

/* Before anything else. */
void layout_setup(void);
/* 0 when the term is no bit string, or of a sort not known. */
int layout_bits(ERL_NIF_TERM term, struct bits *bits);
/* Copies its first `count` bytes; the last of them may be one that is not whole, with zeros at its end. */
void layout_copy(uint8_t *to, const struct bits *bits, unsigned long count);
/* The bytes in External Term Format, with the leading 131, of an integer that fits no word; 0 when it is none. */
unsigned long layout_integer(ERL_NIF_TERM term);

#endif
