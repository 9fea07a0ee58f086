#include "auth/token_head.h"

#include "base/base64.h"

static const char malformed_header[] = "malformed header of the token";

static const char *split(struct token_head *head, struct bytes text, struct bytes *header) {
  static const char fault[] = "malformed token: three parts in base64url, separated by dots, are required";
  size_t first = bytes_find(text, '.');
  if (first == text.len) return fault;
  struct bytes rest = bytes_of(text.ptr + first + 1, text.len - first - 1);
  size_t second = bytes_find(rest, '.');
  if (second == rest.len) return fault;
  *header = bytes_of(text.ptr, first);
  head->claims = bytes_of(rest.ptr, second);
  head->signature = bytes_of(rest.ptr + second + 1, rest.len - second - 1);
  head->signing_input = bytes_of(text.ptr, first + 1 + second);
  return header->len == 0 || head->claims.len == 0 || bytes_find(head->signature, '.') < head->signature.len ? fault : NULL;
}

static const char *read_kid(struct token_head *head, const json_t *value) {
  if (!value) return NULL;
  if (!json_is_string(value)) return malformed_header;
  head->kid_len = json_string_length(value);
  if (head->kid_len > JWK_KID_MAX) return "the \"kid\" of the token is too long";
  memcpy(head->kid, json_string_value(value), head->kid_len);
  head->has_kid = true;
  return NULL;
}

static const char *read_members(struct token_head *head, const json_t *json) {
  const json_t *algorithm = json_object_get(json, "alg"), *type = json_object_get(json, "typ");
  if (!json_is_string(algorithm) || (type && !json_is_string(type))) return malformed_header;
  /* Extensions that must be understood (section 4.1.11). None is. */
  if (json_object_get(json, "crit")) return "the token requires an extension (\"crit\") that is not supported";
  head->algorithm = jwk_algorithm_of(bytes_of(json_string_value(algorithm), json_string_length(algorithm)));
  return read_kid(head, json_object_get(json, "kid"));
}

const char *token_head_read(struct token_head *head, struct bytes text) {
  struct bytes header;
  struct buffer json;
  *head = (struct token_head){.algorithm = JWK_ALGORITHM_NONE};
  const char *fault = split(head, text, &header);
  if (fault) return fault;
  buffer_init(&json);
  json_t *root = NULL;
  if (base64url_read(&json, header) && json.len > 0) root = json_loadb(json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
  fault = json_is_object(root) ? read_members(head, root) : malformed_header;
  json_decref(root);
  buffer_deinit(&json);
  return fault;
}
