#include "auth/token_claims.h"

#include <jansson.h>

/* The last second of the year 9999. */
#define SECONDS_MAX 253402300799

/* Reads a time (NumericDate, section 2) in milliseconds. False: it is not a number of seconds since
 * 1970. */
static bool read_time(const json_t *value, uint64_t *ms) {
  if (json_is_integer(value)) {
    json_int_t seconds = json_integer_value(value);
    *ms = (uint64_t)seconds * 1000;
    return seconds >= 0 && seconds <= SECONDS_MAX;
  }
  double seconds = json_is_real(value) ? json_real_value(value) : -1;
  if (!(seconds >= 0 && seconds <= SECONDS_MAX)) return false;
  *ms = (uint64_t)(seconds * 1000);
  return true;
}

static int check_times(const json_t *claims, const struct token_rules *rules, uint64_t now_ms, uint64_t *expires_ms,
                       const char **fault) {
  const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf"),
               *iat = json_object_get(claims, "iat");
  uint64_t from_ms = 0, issued_ms = 0;
  *expires_ms = 0;
  if ((nbf && !read_time(nbf, &from_ms)) || (iat && !read_time(iat, &issued_ms)) || (exp && !read_time(exp, expires_ms))) {
    *fault = "\"exp\", \"nbf\", and \"iat\" of the token must be numbers of seconds since 1970";
    return MW_EINVAL;
  }
  if (!exp && !rules->exp_optional) {
    *fault = "the token never expires: \"exp\" is required";
    return MW_EINVAL;
  }
  if (exp) *expires_ms += rules->leeway_ms;
  if (exp && now_ms >= *expires_ms) {
    *fault = "the token has expired";
    return MW_EEXPIRED;
  }
  if (from_ms > now_ms + rules->leeway_ms) {
    *fault = "the token is not valid yet (\"nbf\")";
    return MW_EINVAL;
  }
  return 0;
}

static bool is_text(const json_t *value, struct bytes text) {
  return json_is_string(value) && bytes_equal(bytes_of(json_string_value(value), json_string_length(value)), text);
}

/* A string, or a list of strings (section 4.1.3). */
static bool is_audience(const json_t *value) {
  const json_t *item;
  size_t i;
  if (json_is_string(value)) return true;
  if (!json_is_array(value)) return false;
  json_array_foreach(value, i, item) {
    if (!json_is_string(item)) return false;
  }
  return true;
}

static bool has_audience(const json_t *value, struct bytes audience) {
  const json_t *item;
  size_t i;
  if (audience.len == 0) return false;
  if (is_text(value, audience)) return true;
  json_array_foreach(value, i, item) {
    if (is_text(item, audience)) return true;
  }
  return false;
}

static const char *check_names(const json_t *claims, const struct token_rules *rules) {
  const json_t *iss = json_object_get(claims, "iss"), *aud = json_object_get(claims, "aud"),
               *sub = json_object_get(claims, "sub");
  const json_t *jti = json_object_get(claims, "jti");
  if ((iss && !json_is_string(iss)) || (jti && !json_is_string(jti)) || (sub && !json_is_string(sub) && !json_is_integer(sub)))
    return "\"iss\", \"sub\", and \"jti\" of the token must be strings";
  if (aud && !is_audience(aud)) return "\"aud\" of the token must be a string or a list of strings";
  if (rules->issuer.len > 0 && !is_text(iss, rules->issuer)) return "the token is from another issuer (\"iss\")";
  if (rules->audience.len > 0 && !aud) return "the token is for no audience: \"aud\" is required";
  /* A token for an audience is refused by everyone else, including one that has no name. */
  return aud && !has_audience(aud, rules->audience) ? "the token is for another audience (\"aud\")" : NULL;
}

int token_claims_check(struct bytes json, const struct token_rules *rules, uint64_t now_ms, uint64_t *expires_ms,
                       const char **fault) {
  json_t *claims = json_loadb(json.ptr ? json.ptr : "", json.len, JSON_REJECT_DUPLICATES, NULL);
  int status = MW_EINVAL;
  *expires_ms = 0;
  if (json_is_object(claims)) {
    *fault = check_names(claims, rules);
    if (!*fault) status = check_times(claims, rules, now_ms, expires_ms, fault);
  } else {
    *fault = "the claims of the token must be a JSON object, without a name twice";
  }
  json_decref(claims);
  return status;
}

uint64_t token_claims_expiry(struct bytes json) {
  json_t *claims = json_loadb(json.ptr ? json.ptr : "", json.len, 0, NULL);
  const json_t *exp = json_object_get(claims, "exp");
  uint64_t ms = 0;
  if (!exp || !read_time(exp, &ms)) ms = 0;
  json_decref(claims);
  return ms;
}
