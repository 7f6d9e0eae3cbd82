/* A security key in software, for OpenSSH's SecurityKeyProvider (PROTOCOL.u2f, sk-api.h of OpenSSH 8.9 to 10): Ed25519 only.
 * It needs no touch and no PIN, and claims both. */

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ED25519 = 1, TOUCHED = 1, VERIFIED = 4, KEY = 32, SIGNATURE = 64, FAILED = -1, UNSUPPORTED = -2 };

struct enrolled {
    uint8_t flags;
    uint8_t *public_key;
    size_t public_key_len;
    uint8_t *key_handle;
    size_t key_handle_len;
    uint8_t *signature;
    size_t signature_len;
    uint8_t *attestation_cert;
    size_t attestation_cert_len;
    uint8_t *authdata;
    size_t authdata_len;
};

struct signed_data {
    uint8_t flags;
    uint32_t counter;
    uint8_t *sig_r;
    size_t sig_r_len;
    uint8_t *sig_s;
    size_t sig_s_len;
};

uint32_t sk_api_version(void)
{
    return 0x000a0000;
}

/* The key handle is the private key itself. */
int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len, const char *application, uint8_t flags,
              const char *pin, void *options, struct enrolled **result)
{
    (void)challenge, (void)challenge_len, (void)application, (void)pin, (void)options;
    if (alg != ED25519)
        return UNSUPPORTED;
    EVP_PKEY *pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    struct enrolled *key = calloc(1, sizeof *key);
    if (pair == NULL || key == NULL)
        return FAILED;
    key->flags = flags;
    key->public_key_len = key->key_handle_len = KEY;
    key->public_key = malloc(KEY);
    key->key_handle = malloc(KEY);
    key->signature = calloc(1, 1);
    if (EVP_PKEY_get_raw_public_key(pair, key->public_key, &key->public_key_len) != 1 ||
        EVP_PKEY_get_raw_private_key(pair, key->key_handle, &key->key_handle_len) != 1)
        return FAILED;
    EVP_PKEY_free(pair);
    *result = key;
    return 0;
}

int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application, const uint8_t *key_handle,
            size_t key_handle_len, uint8_t flags, const char *pin, void *options, struct signed_data **result)
{
    (void)flags, (void)pin, (void)options;
    if (alg != ED25519)
        return UNSUPPORTED;
    uint8_t claimed = TOUCHED | VERIFIED, text[32 + 1 + 4 + 32] = {0};
    SHA256((const uint8_t *)application, strlen(application), text);
    text[32] = claimed; /* then the counter, which stays 0 */
    SHA256(data, data_len, text + 37);
    EVP_PKEY *pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key_handle, key_handle_len);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    struct signed_data *done = calloc(1, sizeof *done);
    if (pair == NULL || context == NULL || done == NULL)
        return FAILED;
    done->flags = claimed;
    done->sig_r_len = SIGNATURE;
    done->sig_r = malloc(SIGNATURE);
    if (EVP_DigestSignInit(context, NULL, NULL, NULL, pair) != 1 ||
        EVP_DigestSign(context, done->sig_r, &done->sig_r_len, text, sizeof text) != 1)
        return FAILED;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pair);
    *result = done;
    return 0;
}

int sk_load_resident_keys(const char *pin, void *options, void *keys, size_t *number)
{
    (void)pin, (void)options, (void)keys, (void)number;
    return UNSUPPORTED;
}
