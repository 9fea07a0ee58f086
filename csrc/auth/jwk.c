#include "auth/jwk.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/memory.h"

enum { RSA_BITS_MIN = 2048, EC_POINT_LEN = 65, EC_COORDINATE_LEN = 32, ED25519_LEN = 32 };

static const struct {
  const char *name;
  size_t secret_min; /* bytes; 0: not a MAC */
} algorithms[JWK_ALGORITHM_COUNT] = {
    [JWK_HS256] = {"HS256", 32}, [JWK_HS384] = {"HS384", 48}, [JWK_HS512] = {"HS512", 64}, [JWK_RS256] = {"RS256", 0},
    [JWK_PS256] = {"PS256", 0},  [JWK_ES256] = {"ES256", 0},  [JWK_EDDSA] = {"EdDSA", 0}};

enum {
  FOR_SECRET = 1 << JWK_HS256 | 1 << JWK_HS384 | 1 << JWK_HS512,
  FOR_RSA = 1 << JWK_RS256 | 1 << JWK_PS256,
  FOR_EC = 1 << JWK_ES256,
  FOR_ED25519 = 1 << JWK_EDDSA
};

enum jwk_algorithm jwk_algorithm_of(struct bytes name) {
  size_t i = 0;
  while (i < JWK_ALGORITHM_COUNT && !bytes_equal(name, bytes_string(algorithms[i].name))) i++;
  return (enum jwk_algorithm)i;
}

const char *jwk_algorithm_name(enum jwk_algorithm algorithm) { return algorithms[algorithm].name; }

void jwk_deinit(struct jwk *key) {
  EVP_PKEY_free(key->pkey);
  if (key->secret) OPENSSL_cleanse(key->secret, key->secret_len);
  memory_free(key->secret);
  memory_free(key->kid);
  *key = (struct jwk){0};
}

/* ---- Secrets --------------------------------------------------------------------------------- */

int jwk_init_secret(struct jwk *key, struct bytes secret, unsigned allowed, struct mw_error *error) {
  *key = (struct jwk){.algorithms = allowed ? allowed & FOR_SECRET : 1 << JWK_HS256};
  if (bytes_starts_with(secret, BYTES("-----BEGIN ")))
    return error_set(error, MW_EINVAL, "the key is in PEM, and is not a secret; use the option public_key");
  if (key->algorithms == 0) return error_set(error, MW_EINVAL, "a secret is only for HS256, HS384, and HS512");
  for (size_t i = 0; i < JWK_ALGORITHM_COUNT; i++) {
    if (!(key->algorithms & 1U << i) || secret.len >= algorithms[i].secret_min) continue;
    return error_set(error, MW_EINVAL, "the key is too short: %s requires at least %zu bytes, got %zu", algorithms[i].name,
                     algorithms[i].secret_min, secret.len);
  }
  key->secret = memory_copy(secret.ptr, secret.len);
  key->secret_len = secret.len;
  return key->secret ? 0 : error_set(error, MW_ENOMEM, "out of memory");
}

/* ---- Key pairs ------------------------------------------------------------------------------- */

/* Binds the key to its algorithms. */
static int adopt(struct jwk *key, unsigned allowed, struct mw_error *error) {
  char group[32] = "";
  unsigned fitting = 0, usual = 0;
  if (EVP_PKEY_is_a(key->pkey, "RSA")) {
    if (EVP_PKEY_get_bits(key->pkey) < RSA_BITS_MIN)
      return error_set(error, MW_EINVAL, "the RSA key is too short: at least 2048 bits are required");
    fitting = FOR_RSA;
    usual = 1 << JWK_RS256;
  } else if (EVP_PKEY_is_a(key->pkey, "EC")) {
    EVP_PKEY_get_group_name(key->pkey, group, sizeof group, NULL);
    if (strcmp(group, "prime256v1") != 0) return error_set(error, MW_EINVAL, "of elliptic curves, only P-256 is supported");
    fitting = usual = FOR_EC;
  } else if (EVP_PKEY_is_a(key->pkey, "ED25519")) {
    fitting = usual = FOR_ED25519;
  } else {
    return error_set(error, MW_EINVAL, "the type of the key is not supported; use RSA, P-256, or Ed25519");
  }
  key->algorithms = allowed ? allowed & fitting : usual;
  return key->algorithms ? 0 : error_set(error, MW_ENOTFOUND, "none of the algorithms is for this type of key");
}

/* Without it, OpenSSL would ask for the password at the terminal. */
static int refuse_password(char *out, int size, int is_writing, void *context) {
  (void)out;
  (void)size;
  (void)is_writing;
  (void)context;
  return -1;
}

int jwk_init_pem(struct jwk *key, struct bytes pem, bool is_private, unsigned allowed, struct mw_error *error) {
  *key = (struct jwk){0};
  BIO *bio = pem.len <= INT_MAX ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
  if (bio) {
    key->pkey = is_private ? PEM_read_bio_PrivateKey(bio, NULL, refuse_password, NULL)
                           : PEM_read_bio_PUBKEY(bio, NULL, refuse_password, NULL);
  }
  BIO_free(bio);
  if (!key->pkey) {
    return error_set(error, MW_EINVAL, "%s",
                     is_private ? "not a private key in PEM without a password (\"-----BEGIN PRIVATE KEY-----\")"
                                : "not a public key in PEM (\"-----BEGIN PUBLIC KEY-----\")");
  }
  int status = adopt(key, allowed, error);
  if (status < 0) jwk_deinit(key);
  return status == MW_ENOTFOUND ? MW_EINVAL : status;
}

/* ---- JWK ------------------------------------------------------------------------------------- */

static struct bytes member_text(const json_t *json, const char *name) {
  const json_t *value = json_object_get(json, name);
  return json_is_string(value) ? bytes_of(json_string_value(value), json_string_length(value)) : bytes_of(NULL, 0);
}

/* Decodes a member in base64url. False: it is missing, empty, or malformed, or out of memory. */
static bool member_bytes(const json_t *json, const char *name, struct buffer *out) {
  return base64url_read(out, member_text(json, name)) && !out->failed && out->len > 0;
}

static EVP_PKEY *pkey_from(const char *type, OSSL_PARAM_BLD *builder) {
  EVP_PKEY *pkey = NULL;
  OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
  if (params && context && EVP_PKEY_fromdata_init(context) == 1) EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params);
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(params);
  return pkey;
}

static BIGNUM *number_of(const struct buffer *bytes) {
  return BN_bin2bn((const unsigned char *)bytes->data, (int)bytes->len, NULL);
}

static EVP_PKEY *read_rsa(const json_t *json) {
  struct buffer modulus, exponent;
  EVP_PKEY *pkey = NULL;
  buffer_init(&modulus);
  buffer_init(&exponent);
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  BIGNUM *n = member_bytes(json, "n", &modulus) ? number_of(&modulus) : NULL;
  BIGNUM *e = member_bytes(json, "e", &exponent) ? number_of(&exponent) : NULL;
  bool fine = builder && n && e && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) &&
              OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e);
  if (fine) pkey = pkey_from("RSA", builder);
  BN_free(n);
  BN_free(e);
  OSSL_PARAM_BLD_free(builder);
  buffer_deinit(&modulus);
  buffer_deinit(&exponent);
  return pkey;
}

static EVP_PKEY *read_ec(const json_t *json) {
  struct buffer point;
  EVP_PKEY *pkey = NULL;
  buffer_init(&point);
  buffer_append_char(&point, 4); /* uncompressed */
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  bool fine = builder && member_bytes(json, "x", &point) && point.len == 1 + EC_COORDINATE_LEN &&
              member_bytes(json, "y", &point) && point.len == EC_POINT_LEN &&
              OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
              OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len);
  if (fine) pkey = pkey_from("EC", builder);
  OSSL_PARAM_BLD_free(builder);
  buffer_deinit(&point);
  return pkey;
}

static EVP_PKEY *read_ed25519(const json_t *json) {
  struct buffer bytes;
  EVP_PKEY *pkey = NULL;
  buffer_init(&bytes);
  if (member_bytes(json, "x", &bytes) && bytes.len == ED25519_LEN)
    pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)bytes.data, bytes.len);
  buffer_deinit(&bytes);
  return pkey;
}

static int read_secret(struct jwk *key, const json_t *json, unsigned allowed, struct mw_error *error) {
  struct buffer bytes;
  buffer_init(&bytes);
  int status = MW_EINVAL;
  if (member_bytes(json, "k", &bytes)) {
    status = jwk_init_secret(key, buffer_bytes(&bytes), allowed, error);
  } else {
    error_set(error, status, "malformed or missing member \"k\"");
  }
  if (bytes.data) OPENSSL_cleanse(bytes.data, bytes.capacity);
  buffer_deinit(&bytes);
  return status;
}

/* True if the members "use" and "key_ops" allow to verify signatures (RFC 7517 section 4). */
static bool is_for_verifying(const json_t *json) {
  const json_t *operations = json_object_get(json, "key_ops"), *operation;
  struct bytes use = member_text(json, "use");
  size_t i;
  if (use.len > 0 && !bytes_equal(use, BYTES("sig"))) return false;
  if (!operations) return true;
  bool allows = false;
  json_array_foreach(operations, i, operation) {
    const char *name = json_string_value(operation);
    if (name && strcmp(name, "verify") == 0) allows = true;
  }
  return allows;
}

static int read_members(struct jwk *key, const json_t *json, unsigned allowed, struct mw_error *error) {
  struct bytes type = member_text(json, "kty"), curve = member_text(json, "crv");
  if (bytes_equal(type, BYTES("oct")))
    return allowed & FOR_SECRET || !allowed ? read_secret(key, json, allowed, error) : MW_ENOTFOUND;
  if (bytes_equal(type, BYTES("RSA"))) {
    key->pkey = read_rsa(json);
  } else if (bytes_equal(type, BYTES("EC")) && bytes_equal(curve, BYTES("P-256"))) {
    key->pkey = read_ec(json);
  } else if (bytes_equal(type, BYTES("OKP")) && bytes_equal(curve, BYTES("Ed25519"))) {
    key->pkey = read_ed25519(json);
  } else {
    return type.len > 0 ? MW_ENOTFOUND : error_set(error, MW_EINVAL, "the key has no type (\"kty\")");
  }
  return key->pkey ? adopt(key, allowed, error) : error_set(error, MW_EINVAL, "malformed or missing members of the public key");
}

int jwk_init_json(struct jwk *key, const json_t *json, unsigned allowed, struct mw_error *error) {
  *key = (struct jwk){0};
  if (!json_is_object(json)) return error_set(error, MW_EINVAL, "a key must be an object");
  struct bytes kid = member_text(json, "kid"), name = member_text(json, "alg");
  if (kid.len > JWK_KID_MAX) return error_set(error, MW_EINVAL, "the \"kid\" is too long");
  if (!is_for_verifying(json)) return MW_ENOTFOUND;
  if (name.len > 0) {
    /* The key names its only algorithm. */
    enum jwk_algorithm algorithm = jwk_algorithm_of(name);
    unsigned bit = algorithm == JWK_ALGORITHM_NONE ? 0 : 1U << algorithm;
    if (bit == 0 || (allowed && !(allowed & bit))) return MW_ENOTFOUND;
    allowed = bit;
  }
  int status = read_members(key, json, allowed, error);
  if (status == 0 && json_object_get(json, "kid")) {
    key->kid = memory_copy(kid.ptr ? kid.ptr : "", kid.len);
    if (!key->kid) status = error_set(error, MW_ENOMEM, "out of memory");
  }
  if (status < 0) jwk_deinit(key);
  return status;
}
