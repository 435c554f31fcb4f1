/* The numbers that stand for objects' addresses: the cipher's published example, and that each address has one of its own. */
#include <stdlib.h>
#include <string.h>

#include "guard/identity.h"
#include "lg_test.h"

/* Speck48/96 in the appendix of "The SIMON and SPECK Families of Lightweight Block Ciphers", Cryptology ePrint 2013/404. */
static void is_the_published_cipher(void) {
  static const unsigned char key[LG_IDENTITY_KEY] = {0x00, 0x01, 0x02, 0x08, 0x09, 0x0a,
                                                     0x10, 0x11, 0x12, 0x18, 0x19, 0x1a};
  struct lg_identity identity;
  lg_identity_set(&identity, key);
  CHECK(lg_identity_of(&identity, UINT64_C(0x6d2073696874)) == UINT64_C(0x735e10b6445d));
  char text[LG_IDENTITY_TEXT];
  lg_identity_write(&identity, (const void *)(uintptr_t)16, text);
  CHECK(strlen(text) == LG_IDENTITY_TEXT - 1);
  CHECK(strtoull(text, NULL, 16) == lg_identity_of(&identity, 16));
}

static int compare(const void *a, const void *b) {
  const uint64_t *x = a;
  const uint64_t *y = b;
  return (*x > *y) - (*x < *y);
}

/* A bijection; here on a million neighbouring blocks of one arena. */
static void differs_from_address_to_address(void) {
  enum { COUNT = 1 << 20 };
  static uint64_t numbers[COUNT];
  static const unsigned char key[LG_IDENTITY_KEY] = {7};
  struct lg_identity identity;
  lg_identity_set(&identity, key);
  uint64_t beyond = 0;
  uint64_t same_place = 0;
  for (uint64_t i = 0; i < COUNT; i++) {
    numbers[i] = lg_identity_of(&identity, UINT64_C(0x7f0012340000) + i * 16);
    beyond += numbers[i] >> 48 != 0;
    same_place += numbers[i] == UINT64_C(0x7f0012340000) + i * 16;
  }
  qsort(numbers, COUNT, sizeof numbers[0], compare);
  uint64_t twice = 0;
  for (size_t i = 1; i < COUNT; i++) twice += numbers[i] == numbers[i - 1];
  CHECK(beyond == 0);
  CHECK(twice == 0);
  CHECK(same_place < 4);
}

/* Flipping one bit of an address or of the key flips half of the number's bits. */
static void spreads_every_bit(void) {
  for (int bit = 0; bit < 48 + 96; bit++) {
    int flipped = 0;
    for (unsigned char i = 0; i < 64; i++) {
      unsigned char key[LG_IDENTITY_KEY] = {i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
      struct lg_identity identity;
      lg_identity_set(&identity, key);
      const uint64_t address = UINT64_C(0x7f0012345670);
      uint64_t before = lg_identity_of(&identity, address);
      if (bit >= 48) key[(bit - 48) / 8] ^= (unsigned char)(1u << (bit - 48) % 8);
      lg_identity_set(&identity, key);
      uint64_t changed = before ^ lg_identity_of(&identity, bit < 48 ? address ^ UINT64_C(1) << bit : address);
      for (; changed != 0; changed &= changed - 1) flipped++;
    }
    CHECK(flipped > 64 * 24 - 250 && flipped < 64 * 24 + 250); /* nine standard deviations */
  }
}

int main(void) {
  is_the_published_cipher();
  differs_from_address_to_address();
  spreads_every_bit();
  return lg_test_finish("test_identity");
}
