/* Hashes of passwords: scrypt (RFC 7914), written as $scrypt$ln=15,r=8,p=3$salt$hash, which other
 * libraries read, too. */
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "auth/secret.h"
#include "base/base64.h"
#include "base/random.h"
#include "base/status.h"

enum { SALT_SIZE = 16, HASH_SIZE = 32, SALT_MAX = 64, HASH_MIN = 32, HASH_MAX = 64 };
enum { COST_MIN = 10, COST_MAX = 18, COST_DEFAULT = 15, BLOCK = 8, LANES = 3 };
/* What a hash that was made elsewhere may ask for. */
enum { BLOCK_MAX = 32, LANES_MAX = 16 };
#define MEMORY_MAX ((uint64_t)256 << 20)
#define WORK_MAX ((uint64_t)1024 << 20) /* memory, once for each lane */

struct password_hash {
  uint64_t cost, block, lanes; /* ln, r, p */
  char salt[SALT_MAX], hash[HASH_MAX];
  size_t salt_len, hash_len;
};

static uint64_t memory_of(const struct password_hash *hash) { return (uint64_t)128 * hash->block << hash->cost; }

static int compute(struct bytes password, const struct password_hash *of, char *out, size_t out_len) {
  uint64_t most = memory_of(of) + 128 * of->block * (of->lanes + 2) + 4096;
  const char *text = password.len > 0 ? password.ptr : "";
  int ok = EVP_PBE_scrypt(text, password.len, (const unsigned char *)of->salt, of->salt_len, (uint64_t)1 << of->cost, of->block,
                          of->lanes, most, (unsigned char *)out, out_len);
  return ok == 1 ? 0 : MW_ENOMEM;
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* Base64 without padding. */
static void write_part(struct buffer *out, const char *ptr, size_t len) {
  base64_write(out, bytes_of(ptr, len));
  while (out->len > 0 && out->data[out->len - 1] == '=') out->len--;
}

static bool read_part(struct bytes text, char *out, size_t max, size_t *len) {
  char padded[128];
  struct buffer bytes;
  if (text.len > sizeof padded - 3 || bytes_find(text, '=') < text.len) return false;
  if (text.len > 0) memcpy(padded, text.ptr, text.len);
  size_t padded_len = text.len;
  while (padded_len % 4 != 0) padded[padded_len++] = '=';
  buffer_init(&bytes);
  bool ok = base64_read(&bytes, bytes_of(padded, padded_len)) && !bytes.failed && bytes.len <= max;
  if (ok) *len = bytes.len;
  if (ok && bytes.len > 0) memcpy(out, bytes.data, bytes.len);
  buffer_deinit(&bytes);
  return ok;
}

/* Takes the text up to `end` off *rest, without `end`. */
static struct bytes take_until(struct bytes *rest, char end) {
  size_t len = bytes_find(*rest, end);
  struct bytes part = bytes_of(rest->ptr, len);
  size_t used = len < rest->len ? len + 1 : len;
  *rest = bytes_of(rest->ptr + used, rest->len - used);
  return part;
}

static bool take_number(struct bytes *rest, const char *name, uint64_t max, uint64_t *value) {
  struct bytes part = take_until(rest, ',');
  size_t len = strlen(name);
  if (!bytes_starts_with(part, bytes_string(name)) || part.len > len + 3) return false;
  return bytes_to_u64(bytes_of(part.ptr + len, part.len - len), value) && *value >= 1 && *value <= max;
}

static bool password_read(struct bytes text, struct password_hash *out) {
  static const struct bytes scheme = {"$scrypt$", 8};
  if (!bytes_starts_with(text, scheme)) return false;
  struct bytes rest = bytes_of(text.ptr + scheme.len, text.len - scheme.len);
  struct bytes cost = take_until(&rest, '$'), salt = take_until(&rest, '$');
  bool ok = take_number(&cost, "ln=", COST_MAX, &out->cost) && take_number(&cost, "r=", BLOCK_MAX, &out->block) &&
            take_number(&cost, "p=", LANES_MAX, &out->lanes) && cost.len == 0 && memory_of(out) <= MEMORY_MAX &&
            memory_of(out) * out->lanes <= WORK_MAX;
  return ok && read_part(salt, out->salt, SALT_MAX, &out->salt_len) && read_part(rest, out->hash, HASH_MAX, &out->hash_len) &&
         out->hash_len >= HASH_MIN;
}

/* ---- What is public -------------------------------------------------------------------------- */

int mw_crypto_password_hash(const char *password, size_t password_len, int cost, char out[MW_PASSWORD_HASH_SIZE]) {
  if (cost == 0) cost = COST_DEFAULT;
  if (password_len == 0 || password_len > MW_PASSWORD_MAX || cost < COST_MIN || cost > COST_MAX) return MW_EINVAL;
  struct password_hash made = {.cost = (uint64_t)cost, .block = BLOCK, .lanes = LANES, .salt_len = SALT_SIZE};
  random_fill(made.salt, SALT_SIZE);
  int status = compute(bytes_of(password, password_len), &made, made.hash, HASH_SIZE);
  if (status < 0) return status;
  struct buffer text;
  buffer_init(&text);
  buffer_append_format(&text, "$scrypt$ln=%d,r=%d,p=%d$", cost, BLOCK, LANES);
  write_part(&text, made.salt, SALT_SIZE);
  buffer_append_char(&text, '$');
  write_part(&text, made.hash, HASH_SIZE);
  buffer_append_char(&text, '\0');
  if (text.failed) {
    status = MW_ENOMEM;
  } else {
    memcpy(out, text.data, text.len);
  }
  buffer_deinit(&text);
  return status;
}

int mw_crypto_password_verify(const char *password, size_t password_len, const char *hash, size_t hash_len) {
  struct password_hash known = {
      .cost = COST_DEFAULT, .block = BLOCK, .lanes = LANES, .salt_len = SALT_SIZE, .hash_len = HASH_SIZE};
  char computed[HASH_MAX];
  if (hash && !password_read(bytes_of(hash, hash_len), &known)) return MW_EINVAL;
  /* What is too long was never hashed, but takes as long as any other. */
  bool is_possible = hash && password_len <= MW_PASSWORD_MAX;
  size_t len = password_len <= MW_PASSWORD_MAX ? password_len : MW_PASSWORD_MAX;
  int status = compute(bytes_of(password, len), &known, computed, known.hash_len);
  if (status < 0) return status;
  bool is_same = secret_equal(bytes_of(computed, known.hash_len), bytes_of(known.hash, known.hash_len));
  OPENSSL_cleanse(computed, sizeof computed);
  return is_same && is_possible;
}
