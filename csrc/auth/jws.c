#include "auth/jws.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "auth/secret.h"

/* r and s of an ECDSA signature with P-256, as JWS concatenates them (RFC 7518 section 3.4). */
enum { ES256_PART = 32, ES256_LEN = 2 * ES256_PART };

static const unsigned char *octets(struct bytes bytes) { return (const unsigned char *)(bytes.ptr ? bytes.ptr : ""); }

static const EVP_MD *hash_of(enum jwk_algorithm algorithm) {
  switch (algorithm) {
    case JWK_HS384: return EVP_sha384();
    case JWK_HS512: return EVP_sha512();
    case JWK_EDDSA: return NULL; /* it has its own */
    default: return EVP_sha256();
  }
}

/* ---- MACs ------------------------------------------------------------------------------------ */

static size_t mac(const struct jwk *key, enum jwk_algorithm algorithm, struct bytes text, unsigned char out[EVP_MAX_MD_SIZE]) {
  unsigned len = 0;
  if (!HMAC(hash_of(algorithm), key->secret, (int)key->secret_len, octets(text), text.len, out, &len)) return 0;
  return len;
}

static bool verify_mac(const struct jwk *key, enum jwk_algorithm algorithm, struct bytes text, struct bytes signature) {
  unsigned char own[EVP_MAX_MD_SIZE];
  size_t len = mac(key, algorithm, text, own);
  return len > 0 && secret_equal(bytes_of((const char *)own, len), signature);
}

/* ---- Signatures ------------------------------------------------------------------------------ */

/* PSS with a salt as long as the hash (RFC 7518 section 3.5). */
static bool set_padding(EVP_PKEY_CTX *context, enum jwk_algorithm algorithm) {
  if (algorithm != JWK_PS256) return true;
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0;
}

/* OpenSSL takes the two numbers in DER. Returns the length, or 0. The caller frees *der. */
static int to_der(struct bytes signature, unsigned char **der) {
  if (signature.len != ES256_LEN) return 0;
  ECDSA_SIG *pair = ECDSA_SIG_new();
  BIGNUM *r = BN_bin2bn(octets(signature), ES256_PART, NULL), *s = BN_bin2bn(octets(signature) + ES256_PART, ES256_PART, NULL);
  int len = 0;
  if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
    r = s = NULL;
    len = i2d_ECDSA_SIG(pair, der);
  }
  BN_free(r);
  BN_free(s);
  ECDSA_SIG_free(pair);
  return len > 0 ? len : 0;
}

static bool from_der(const unsigned char *der, size_t len, unsigned char out[ES256_LEN]) {
  ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
  bool fine = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, ES256_PART) == ES256_PART &&
              BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + ES256_PART, ES256_PART) == ES256_PART;
  ECDSA_SIG_free(pair);
  return fine;
}

static bool verify_signature(const struct jwk *key, enum jwk_algorithm algorithm, struct bytes text, struct bytes signature) {
  unsigned char *der = NULL;
  if (algorithm == JWK_ES256) {
    int len = to_der(signature, &der);
    signature = bytes_of((const char *)der, (size_t)len);
  }
  EVP_PKEY_CTX *settings = NULL;
  EVP_MD_CTX *context = signature.len > 0 ? EVP_MD_CTX_new() : NULL;
  bool valid = context && EVP_DigestVerifyInit(context, &settings, hash_of(algorithm), NULL, key->pkey) == 1 &&
               set_padding(settings, algorithm) &&
               EVP_DigestVerify(context, octets(signature), signature.len, octets(text), text.len) == 1;
  EVP_MD_CTX_free(context);
  OPENSSL_free(der);
  ERR_clear_error(); /* an invalid signature is not an error of this thread's next caller */
  return valid;
}

static int append_signature(EVP_MD_CTX *context, enum jwk_algorithm algorithm, struct bytes text, struct buffer *out) {
  size_t len = 0;
  if (EVP_DigestSign(context, NULL, &len, octets(text), text.len) != 1) return MW_EINVAL;
  char *at = buffer_reserve(out, len + ES256_LEN);
  if (!at) return MW_ENOMEM;
  if (EVP_DigestSign(context, (unsigned char *)at, &len, octets(text), text.len) != 1) return MW_EINVAL;
  if (algorithm == JWK_ES256) {
    unsigned char pair[ES256_LEN];
    if (!from_der((const unsigned char *)at, len, pair)) return MW_ENOMEM;
    memcpy(at, pair, len = sizeof pair);
  }
  out->len += len;
  return 0;
}

/* ---- For all --------------------------------------------------------------------------------- */

static bool is_allowed(const struct jwk *key, enum jwk_algorithm algorithm) {
  return algorithm != JWK_ALGORITHM_NONE && key->algorithms & 1U << algorithm;
}

bool jws_verify(const struct jwk *key, enum jwk_algorithm algorithm, struct bytes text, struct bytes signature) {
  if (!is_allowed(key, algorithm) || signature.len == 0) return false;
  return key->pkey ? verify_signature(key, algorithm, text, signature) : verify_mac(key, algorithm, text, signature);
}

int jws_sign(const struct jwk *key, enum jwk_algorithm algorithm, struct bytes text, struct buffer *out) {
  if (!is_allowed(key, algorithm)) return MW_EINVAL;
  if (!key->pkey) {
    unsigned char own[EVP_MAX_MD_SIZE];
    size_t len = mac(key, algorithm, text, own);
    buffer_append(out, bytes_of((const char *)own, len));
    return len == 0 || out->failed ? MW_ENOMEM : 0;
  }
  EVP_PKEY_CTX *settings = NULL;
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  bool fine = context && EVP_DigestSignInit(context, &settings, hash_of(algorithm), NULL, key->pkey) == 1 &&
              set_padding(settings, algorithm);
  int status = fine ? append_signature(context, algorithm, text, out) : MW_EINVAL;
  EVP_MD_CTX_free(context);
  ERR_clear_error();
  return status;
}
