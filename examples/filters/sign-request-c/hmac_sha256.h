// HMAC-SHA256 (RFC 2104, FIPS 180-4). The key is digested once: a message costs two blocks more than its own.
#ifndef HMAC_SHA256_H
#define HMAC_SHA256_H

#include <stdint.h>

typedef struct {
    uint32_t state[8];
    uint64_t length;
    uint8_t block[64];
} sha256;

// A key, digested: the states after its inner and its outer pad.
typedef struct {
    sha256 inner, outer;
} hmac_key;

void hmac_init(hmac_key *key, const uint8_t *secret, uint32_t length);

// Starts a message, takes its parts, gives its code.
sha256 hmac_start(const hmac_key *key);
void sha256_update(sha256 *hash, const uint8_t *bytes, uint32_t length);
void hmac_finish(const hmac_key *key, sha256 *message, uint8_t code[32]);

#endif
