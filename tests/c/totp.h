/* One-time codes (RFC 6238, HMAC-SHA1, six digits) for the modules in C that pam_qrtotp is compared with. */
#include <endian.h>
#include <stdint.h>
#include <stddef.h>
#include <string.h>

#define KEY 20
#define BLOCK 64

static uint32_t rotate(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

/* FIPS 180-4, section 6.1: one block. */
static void compress(uint32_t hash[5], const uint8_t block[BLOCK]) {
    uint32_t w[80], a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    for (int t = 0; t < 16; t++) {
        uint32_t word;
        memcpy(&word, block + 4 * t, 4);
        w[t] = be32toh(word);
    }
    for (int t = 16; t < 80; t++)
        w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    for (int t = 0; t < 80; t++) {
        uint32_t f = t < 20 ? (b & c) ^ (~b & d) : t < 40 || t >= 60 ? b ^ c ^ d : (b & c) ^ (b & d) ^ (c & d);
        static const uint32_t constants[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
        uint32_t next = rotate(a, 5) + f + e + constants[t / 20] + w[t];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    hash[0] += a, hash[1] += b, hash[2] += c, hash[3] += d, hash[4] += e;
}

/* RFC 2104 for a message of at most 55 bytes: inner or outer hash of one block of key and one of message. */
static void hash_keyed(const uint8_t key[KEY], uint8_t pad, const uint8_t *message, size_t length, uint8_t out[20]) {
    uint32_t hash[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t block[BLOCK];
    for (int i = 0; i < BLOCK; i++)
        block[i] = (i < KEY ? key[i] : 0) ^ pad;
    compress(hash, block);
    memset(block, 0, BLOCK);
    memcpy(block, message, length);
    block[length] = 0x80;
    uint64_t bits = htobe64((BLOCK + length) * 8);
    memcpy(block + 56, &bits, 8);
    compress(hash, block);
    for (int i = 0; i < 5; i++) {
        uint32_t word = htobe32(hash[i]);
        memcpy(out + 4 * i, &word, 4);
    }
}

/* RFC 4226, section 5.3, with six digits. */
static unsigned code_of(const uint8_t key[KEY], uint64_t step) {
    uint8_t message[8], inner[20], outer[20];
    uint64_t big = htobe64(step);
    memcpy(message, &big, 8);
    hash_keyed(key, 0x36, message, 8, inner);
    hash_keyed(key, 0x5c, inner, 20, outer);
    uint32_t word;
    memcpy(&word, outer + (outer[19] & 15), 4);
    return (be32toh(word) & 0x7fffffff) % 1000000;
}
