/* The number that stands for an object in the texts that a script sees, in place of the object's address.
 *
 * The number is the address under a block cipher of 48 bits, Speck48/96 (Beaulieu and others, 2013), with a key of the
 * state's own. So two objects that live at the same time have different numbers, one object has the same number for as long
 * as it lives, no table of objects is needed, and without the key no number tells an address, a distance or an order.
 *
 * Contract
 * - The key lies outside the state's arena, where no script's value can be, and stays while the state lives. So an object at
 *   the same address has the same number in the next run too.
 * - Addresses have 48 bits, which is all that systems give a process that asks for no others. Of a larger one the rest is
 *   folded in: its number tells nothing either, but another object could have it too.
 * - lg_identity_of() takes the same time for every address and key. Any thread, once the key is there. */
#ifndef LG_IDENTITY_H
#define LG_IDENTITY_H

#include <stdint.h>

enum {
  LG_IDENTITY_ROUNDS = 23,
  LG_IDENTITY_KEY = 12, /* bytes of a key */
  LG_IDENTITY_TEXT = 15 /* "0x", 12 digits and NUL */
};

struct lg_identity {
  uint32_t keys[LG_IDENTITY_ROUNDS]; /* one for each round, 24 bits of each */
};

static inline uint32_t lg_rotate_24(uint32_t v, int left) { return (v << left | v >> (24 - left)) & 0xffffff; }

/* Set the key: four words of 24 bits, the lowest byte of the lowest word first. */
static inline void lg_identity_set(struct lg_identity *identity, const unsigned char key[LG_IDENTITY_KEY]) {
  uint32_t words[4];
  for (int i = 0; i < 4; i++) words[i] = key[3 * i] | (uint32_t)key[3 * i + 1] << 8 | (uint32_t)key[3 * i + 2] << 16;
  uint32_t k = words[0];
  for (uint32_t i = 0; i < LG_IDENTITY_ROUNDS; i++) {
    uint32_t *word = &words[1 + i % 3];
    identity->keys[i] = k;
    *word = ((k + lg_rotate_24(*word, 16)) & 0xffffff) ^ i;
    k = lg_rotate_24(k, 3) ^ *word;
  }
}

/* The number for an address; below 2^48. */
static inline uint64_t lg_identity_of(const struct lg_identity *identity, uint64_t address) {
  address ^= address >> 48;
  uint32_t x = (uint32_t)(address >> 24) & 0xffffff;
  uint32_t y = (uint32_t)address & 0xffffff;
  for (int i = 0; i < LG_IDENTITY_ROUNDS; i++) {
    x = ((lg_rotate_24(x, 16) + y) & 0xffffff) ^ identity->keys[i];
    y = lg_rotate_24(y, 3) ^ x;
  }
  return (uint64_t)x << 24 | y;
}

/* The number as C's %p would write it. */
static inline void lg_identity_write(const struct lg_identity *identity, const void *object, char *text) {
  uint64_t v = lg_identity_of(identity, (uint64_t)(uintptr_t)object);
  text[0] = '0';
  text[1] = 'x';
  for (int i = LG_IDENTITY_TEXT - 2; i >= 2; i--, v >>= 4) text[i] = "0123456789abcdef"[v & 15];
  text[LG_IDENTITY_TEXT - 1] = '\0';
}

#endif
