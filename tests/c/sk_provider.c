/* A security key in software, for OpenSSH's SecurityKeyProvider (PROTOCOL.u2f, sk-api.h of OpenSSH 8.9 to
 * 10): Ed25519 and ECDSA. It needs no touch and no PIN, and claims both. */

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ED25519 = 1, TOUCHED = 1, VERIFIED = 4, KEY = 32, SIGNATURE = 80, FAILED = -1, UNSUPPORTED = -2 };

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

/* The key handle is the private key itself, in DER. */
int sk_enroll(uint32_t alg, const uint8_t *challenge, size_t challenge_len, const char *application, uint8_t flags,
              const char *pin, void *options, struct enrolled **result)
{
    (void)challenge, (void)challenge_len, (void)application, (void)pin, (void)options;
    EVP_PKEY *pair = alg == ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    struct enrolled *key = calloc(1, sizeof *key);
    if (pair == NULL || key == NULL)
        return FAILED;
    key->flags = flags;
    key->signature = calloc(1, 1);
    if (alg == ED25519) {
        key->public_key_len = KEY;
        key->public_key = malloc(KEY);
        if (EVP_PKEY_get_raw_public_key(pair, key->public_key, &key->public_key_len) != 1)
            return FAILED;
    } else {
        key->public_key_len = EVP_PKEY_get1_encoded_public_key(pair, &key->public_key);
    }
    int length = i2d_PrivateKey(pair, &key->key_handle);
    if (length <= 0 || key->public_key_len == 0)
        return FAILED;
    key->key_handle_len = length;
    EVP_PKEY_free(pair);
    *result = key;
    return 0;
}

/* ECDSA's two numbers, from their DER. */
static int split(const uint8_t *der, size_t length, struct signed_data *done)
{
    ECDSA_SIG *both = d2i_ECDSA_SIG(NULL, &der, length);
    if (both == NULL)
        return FAILED;
    const BIGNUM *r = ECDSA_SIG_get0_r(both), *s = ECDSA_SIG_get0_s(both);
    done->sig_r = malloc(KEY);
    done->sig_s = malloc(KEY);
    done->sig_r_len = BN_bn2bin(r, done->sig_r);
    done->sig_s_len = BN_bn2bin(s, done->sig_s);
    ECDSA_SIG_free(both);
    return 0;
}

int sk_sign(uint32_t alg, const uint8_t *data, size_t data_len, const char *application, const uint8_t *key_handle,
            size_t key_handle_len, uint8_t flags, const char *pin, void *options, struct signed_data **result)
{
    (void)flags, (void)pin, (void)options;
    uint8_t claimed = TOUCHED | VERIFIED, text[32 + 1 + 4 + 32] = {0}, signature[SIGNATURE];
    size_t length = sizeof signature;
    SHA256((const uint8_t *)application, strlen(application), text);
    text[32] = claimed; /* then the counter, which stays 0 */
    SHA256(data, data_len, text + 37);
    EVP_PKEY *pair = d2i_AutoPrivateKey(NULL, &key_handle, key_handle_len);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    struct signed_data *done = calloc(1, sizeof *done);
    if (pair == NULL || context == NULL || done == NULL)
        return FAILED;
    done->flags = claimed;
    const EVP_MD *hash = alg == ED25519 ? NULL : EVP_sha256();
    if (EVP_DigestSignInit(context, NULL, hash, NULL, pair) != 1 ||
        EVP_DigestSign(context, signature, &length, text, sizeof text) != 1)
        return FAILED;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pair);
    *result = done;
    if (alg != ED25519)
        return split(signature, length, done);
    done->sig_r_len = length;
    done->sig_r = malloc(length);
    memcpy(done->sig_r, signature, length);
    return 0;
}

int sk_load_resident_keys(const char *pin, void *options, void *keys, size_t *number)
{
    (void)pin, (void)options, (void)keys, (void)number;
    return UNSUPPORTED;
}
