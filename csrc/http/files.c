#include "http/files.h"

/* Static files: read by the thread pool, a chunk at a time, and only as fast as the peer takes
 * them. */
#include <stdio.h>

#include "codec/http/http_writer.h"
#include "codec/http/query.h"
#include "http/exchange.h"
#include "http/request.h"
#include "http/router.h"
#include "net/file.h"

static const struct {
  const char *extension;
  const char *type;
} types[] = {
    {"html", "text/html; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"js", "text/javascript; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"map", "application/json"},
    {"webmanifest", "application/manifest+json"},
    {"txt", "text/plain; charset=utf-8"},
    {"md", "text/markdown; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"xml", "application/xml"},
    {"svg", "image/svg+xml"},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"ico", "image/vnd.microsoft.icon"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"ttf", "font/ttf"},
    {"otf", "font/otf"},
    {"wasm", "application/wasm"},
    {"pdf", "application/pdf"},
    {"mp3", "audio/mpeg"},
    {"ogg", "audio/ogg"},
    {"wav", "audio/wav"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
    {"zip", "application/zip"},
};

static struct bytes type_of(struct bytes path) {
  size_t dot = path.len;
  while (dot > 0 && path.ptr[dot - 1] != '.' && path.ptr[dot - 1] != '/') dot--;
  struct bytes extension = dot > 0 && path.ptr[dot - 1] == '.' ? bytes_of(path.ptr + dot, path.len - dot) : bytes_of(NULL, 0);
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (bytes_equal_nocase(extension, bytes_string(types[i].extension))) return bytes_string(types[i].type);
  }
  return BYTES("application/octet-stream");
}

/* True if no segment is empty or begins with a dot (which includes ".." and hidden files), and
 * there is no backslash. */
static bool is_clean(struct bytes path) {
  bool begins = true;
  for (size_t i = 0; i < path.len; i++) {
    char c = path.ptr[i];
    if (c == '\\' || (begins && (c == '/' || c == '.'))) return false;
    begins = c == '/';
  }
  return true;
}

static void files_refuse(struct exchange *exchange, int status, const char *reason) {
  exchange_refuse(exchange, status, exchange_code(status), reason, bytes_of(NULL, 0));
}

/* The app may have its own answer. The path, to which an index was appended, is that of the request
 * again. */
static void files_not_found(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  if (!router_find_other(exchange, request)) {
    files_refuse(exchange, 404, "not found");
    return;
  }
  buffer_clear(&request->path);
  path_decode(request->head->path, &request->path);
  if (request->path.failed) {
    files_refuse(exchange, 503, "out of memory");
    return;
  }
  exchange_end_role(exchange);
  exchange_become(exchange, request->role);
  request->role->start(exchange);
}

/* Redirects a directory without its last slash: relative links in its index would lead
 * elsewhere. */
static void redirect(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  const struct http_head *head = request->head;
  struct http_fields fields;
  struct buffer location;
  http_fields_init(&fields);
  buffer_init(&location);
  buffer_append(&location, head->path);
  buffer_append_string(&location, "/");
  if (head->query.len > 0) buffer_append_string(&location, "?");
  buffer_append(&location, head->query);
  http_fields_add(&fields, BYTES("Location"), buffer_bytes(&location));
  if (location.failed) fields.text.failed = true;
  buffer_deinit(&location);
  struct answer answer = {.status = 308, .fields = &fields};
  exchange_answer(exchange, &answer);
  http_fields_deinit(&fields);
}

/* The file that is sent. */
static struct file *file_of(struct exchange *exchange) { return exchange_request(exchange)->of_role; }

static void read_on(struct exchange *exchange) {
  if (file_read(file_of(exchange)) == 0) return;
  exchange_break(exchange);
}

/* A page names the other files, so it is always asked for: otherwise a new version would not be
 * noticed. */
static struct bytes cache_of(const struct request *request) {
  bool is_page = bytes_starts_with(type_of(request->rest), BYTES("text/html"));
  return request->mount->cache && !is_page ? bytes_string(request->mount->cache) : BYTES("no-cache");
}

static bool open_file(struct exchange *exchange, const char *path, file_fn callback) {
  struct request *request = exchange_request(exchange);
  request->rest = bytes_string(path);
  request->of_role = file_open(exchange_http(exchange)->loop, request->mount->directory, path, callback, exchange);
  return request->of_role != NULL;
}

/* Returns true if the fallback may stand for the path: the name does not look like that of a file,
 * and the fallback was not tried. */
static bool may_fall_back(const struct request *request) {
  struct bytes path = request->head->path;
  size_t at = path.len;
  while (at > 0 && path.ptr[at - 1] != '/') at--;
  bool has_dot = bytes_find(bytes_of(path.ptr + at, path.len - at), '.') < path.len - at;
  return request->mount->fallback && request->rest.ptr != request->mount->fallback && !has_dot;
}

static void on_open(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  const struct file *file = file_of(exchange);
  char tag[48], changed[30];
  snprintf(tag, sizeof tag, "\"%llx-%llx\"", (unsigned long long)file_changed_ns(file), (unsigned long long)file_size(file));
  http_date(changed, file_changed_ns(file) / 1000000);
  struct http_fields fields;
  http_fields_init(&fields);
  http_fields_add(&fields, BYTES("ETag"), bytes_string(tag));
  http_fields_add(&fields, BYTES("Last-Modified"), bytes_string(changed));
  http_fields_add(&fields, BYTES("Cache-Control"), cache_of(request));
  http_fields_add(&fields, BYTES("X-Content-Type-Options"), BYTES("nosniff"));
  http_fields_add_all(&fields, &request->mount->fields);
  if (http_head_has_tag(request->head, bytes_string(tag))) {
    struct answer answer = {.status = 304, .fields = &fields};
    exchange_answer(exchange, &answer);
  } else {
    http_fields_add(&fields, BYTES("Content-Type"), type_of(request->rest));
    request->left = request->is_head ? 0 : file_size(file);
    exchange_begin(exchange, 200, &fields, file_size(file));
    if (request->left == 0) exchange_complete(exchange);
  }
  http_fields_deinit(&fields);
}

static void on_file(struct file *file, int status, struct bytes bytes) {
  struct exchange *exchange = file_owner(file);
  struct request *request = exchange_request(exchange);
  if (exchange->state == EXCHANGE_ASKING) {
    if (status == 0) {
      on_open(exchange);
    } else if (file_is_directory(file)) {
      redirect(exchange);
    } else if (status != MW_ENOTFOUND) {
      files_refuse(exchange, 503, mw_status_text(status));
    } else if (may_fall_back(request)) {
      file_close(file);
      if (!open_file(exchange, request->mount->fallback, on_file)) files_refuse(exchange, 503, "out of memory");
    } else {
      files_not_found(exchange);
    }
    return;
  }
  /* it has grown since its length was sent */
  if (bytes.len > request->left) bytes.len = (size_t)request->left;
  struct blob *blob = bytes.len > 0 ? blob_new(bytes) : NULL;
  if (status < 0 || !blob) {
    /* It has shrunk, or cannot be read: the announced length is wrong. */
    exchange_break(exchange);
  } else {
    request->left -= bytes.len;
    exchange_push(exchange, blob, blob_bytes(blob));
    if (request->left == 0) exchange_complete(exchange);
  }
  blob_unref(blob);
}

static void files_start(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  /* `rest` lies at the end of `path`, which may be extended. */
  size_t at = request->path.len - request->rest.len;
  if (!is_clean(request->rest)) {
    files_not_found(exchange);
    return;
  }
  if (request->path.len == 0 || request->path.data[request->path.len - 1] == '/') {
    buffer_append_string(&request->path, "index.html");
  }
  buffer_append_char(&request->path, '\0');
  if (!request->path.failed && open_file(exchange, request->path.data + at, on_file)) {
    exchange_set_state(exchange, EXCHANGE_ASKING); /* what was sent ahead waits in the meantime */
  } else {
    exchange_refuse(exchange, 503, "unavailable", "out of memory", bytes_of(NULL, 0));
  }
}

static void on_written(struct exchange *exchange) { read_on(exchange); }

static void files_on_end(struct exchange *exchange) {
  struct request *request = exchange_request(exchange);
  if (!request) return;
  file_close(request->of_role);
  request->of_role = NULL;
}

static void files_on_late(struct exchange *exchange) { files_refuse(exchange, 503, "the file did not open in time; retry"); }

const struct role files_role = {.start = files_start,
                                .on_answer = role_nothing_on_answer,
                                .on_late = files_on_late,
                                .finishes = role_always_finishes,
                                .on_written = on_written,
                                .on_end = files_on_end,
                                ROLE_NEVER_WAITS,
                                ROLE_NEVER_STREAMS};
