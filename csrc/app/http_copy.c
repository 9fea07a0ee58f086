#include "app/http_copy.h"

#include <stdio.h>

#include "app/client.h"
#include "base/buffer.h"
#include "base/memory.h"
#include "codec/http/query.h"

static struct mw_bytes place(char **at, struct bytes from) {
  struct mw_bytes copy = {*at, from.len};
  if (from.len > 0) memcpy(*at, from.ptr, from.len);
  *at += from.len;
  return copy;
}

static bool find_query(struct bytes query, struct bytes key, struct buffer *value) {
  struct buffer name;
  bool found = false;
  buffer_init(&name);
  while (!found && query_next(&query, &name, value)) found = bytes_equal(buffer_bytes(&name), key) && !value->failed;
  buffer_deinit(&name);
  return found;
}

struct http_copy *http_copy_new(const struct http_head *head, struct bytes path, struct bytes body,
                                const struct http_source *source) {
  struct bytes token = http_head_bearer(head), ticket = bytes_of(NULL, 0);
  struct buffer query_token, query_ticket;
  buffer_init(&query_token);
  buffer_init(&query_ticket);
  if (token.len == 0 && find_query(head->query, BYTES("token"), &query_token)) token = buffer_bytes(&query_token);
  if (find_query(head->query, BYTES("ticket"), &query_ticket)) ticket = buffer_bytes(&query_ticket);
  size_t size = token.len + ticket.len + head->method.len + path.len + head->query.len + body.len + strlen(source->remote);
  for (size_t i = 0; i < head->field_count; i++) size += head->fields[i].name.len + head->fields[i].value.len;
  size += sizeof(struct http_copy) + head->field_count * sizeof(struct mw_http_field);
  struct http_copy *copy = memory_alloc(size);
  if (!copy) goto done;
  copy->size = size;
  struct bytes scheme = source->scheme.len > 0 ? source->scheme : BYTES("http");
  char *at = (char *)&copy->fields[head->field_count];
  copy->http = (struct mw_http){.method = place(&at, head->method),
                                .path = place(&at, path),
                                .query = place(&at, head->query),
                                .body = place(&at, body),
                                .remote = place(&at, bytes_string(source->remote)),
                                .scheme = {scheme.ptr, scheme.len},
                                .is_by_proxy = source->is_by_proxy,
                                .fields = copy->fields,
                                .field_count = head->field_count};
  for (size_t i = 0; i < head->field_count; i++) {
    copy->fields[i].name = place(&at, head->fields[i].name);
    copy->fields[i].value = place(&at, head->fields[i].value);
  }
  copy->http.token = place(&at, token);
  copy->http.ticket = place(&at, ticket);
done:
  buffer_deinit(&query_token);
  buffer_deinit(&query_ticket);
  return copy;
}

struct http_copy *http_copy_essence(const struct http_copy *from) {
  struct http_field fields[2];
  const struct mw_http *http = &from->http;
  struct http_head head = {.method = bytes_of(http->method.ptr, http->method.len), .fields = fields};
  for (size_t i = 0; i < http->field_count; i++) {
    struct bytes name = bytes_of(http->fields[i].name.ptr, http->fields[i].name.len);
    bool is_kept = bytes_equal_nocase(name, BYTES("host")) || bytes_equal_nocase(name, BYTES("origin"));
    if (!is_kept || head.field_count == 2) continue; /* there is at most one of each */
    fields[head.field_count++] = (struct http_field){name, bytes_of(http->fields[i].value.ptr, http->fields[i].value.len)};
  }
  char remote[REMOTE_MAX];
  snprintf(remote, sizeof remote, "%.*s", (int)http->remote.len, http->remote.ptr);
  return http_copy_new(&head, bytes_of(http->path.ptr, http->path.len), bytes_of(NULL, 0),
                       &(struct http_source){remote, bytes_of(http->scheme.ptr, http->scheme.len), http->is_by_proxy});
}

struct http_copy *http_copy_with_token(const struct http_copy *from, struct bytes token) {
  if (token.len == 0) token = bytes_of(from->http.token.ptr, from->http.token.len);
  size_t size = from->size + token.len;
  struct http_copy *copy = memory_alloc(size);
  if (!copy) return NULL;
  memcpy(copy, from, from->size);
  /* Pointers into the copy's own memory move with it. */
  ptrdiff_t shift = (char *)copy - (const char *)from;
  struct mw_bytes *own[] = {&copy->http.method, &copy->http.path,   &copy->http.query,
                            &copy->http.body,   &copy->http.remote, &copy->http.ticket};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) own[i]->ptr += shift;
  for (size_t i = 0; i < copy->http.field_count; i++) {
    copy->fields[i].name.ptr += shift;
    copy->fields[i].value.ptr += shift;
  }
  copy->http.fields = copy->fields;
  char *at = (char *)copy + from->size;
  copy->http.token = place(&at, token);
  copy->size = size;
  return copy;
}

struct http_copy *http_copy_of_token(struct bytes token) {
  struct http_copy *copy = memory_calloc(1, sizeof *copy + token.len);
  if (!copy) return NULL;
  char *at = (char *)copy->fields;
  copy->size = sizeof *copy + token.len;
  copy->http.token = place(&at, token);
  copy->http.fields = copy->fields;
  return copy;
}
