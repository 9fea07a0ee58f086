#include "lua/fetch/transfer.h"

#include <stdlib.h>
#include <string.h>

/* Returns false if out of memory. */
static bool text_append(struct transfer_text *text, const char *bytes, size_t len) {
  if (text->capacity - text->len < len) {
    size_t capacity = text->len + len + text->len / 2;
    char *grown = realloc(text->bytes, capacity);
    if (!grown) return false;
    text->bytes = grown;
    text->capacity = capacity;
  }
  memcpy(text->bytes + text->len, bytes, len);
  text->len += len;
  return true;
}

static void text_free(struct transfer_text *text) {
  free(text->bytes);
  *text = (struct transfer_text){NULL, 0, 0};
}

void transfer_mark(struct transfer *transfer) {
  if (transfer->is_changed || !transfer->changed_list) return;
  transfer->is_changed = true;
  transfer->next_changed = *transfer->changed_list;
  *transfer->changed_list = transfer;
}

static bool is_redirected(const struct transfer *transfer) {
  const char *location = NULL;
  if (transfer->redirects_max == 0 || transfer->status < 300 || transfer->status > 399) return false;
  curl_easy_getinfo(transfer->easy, CURLINFO_REDIRECT_URL, &location);
  if (location) return true;
  /* libcurl knows it only after the end; the field is in the head. An empty one leads nowhere. */
  const char *head = transfer->head.bytes;
  for (size_t i = 0; i + 11 <= transfer->head.len; i++) {
    if ((i > 0 && head[i - 1] != '\n') || !curl_strnequal(head + i, "location:", 9)) continue;
    for (i += 9; i < transfer->head.len && head[i] != '\n'; i++)
      if (!strchr(" \t\r", head[i])) return true;
  }
  return false;
}

/* Called for each line of a head, also of one that does not count: 1xx, and redirections. */
static size_t on_head(char *line, size_t size, size_t count, void *context) {
  struct transfer *transfer = context;
  size_t len = size * count;
  bool is_first = len > 5 && memcmp(line, "HTTP/", 5) == 0;
  transfer_mark(transfer);
  if (transfer->has_head) return len; /* trailers */
  if (is_first) transfer->head.len = 0;
  if (len <= 2) {
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &transfer->status);
    transfer->has_head = transfer->status >= 200 && !is_redirected(transfer);
    return len;
  }
  transfer->is_too_large = transfer->head.len + len > TRANSFER_HEAD_MAX;
  if (transfer->is_too_large) return 0;
  if (is_first) return len;
  transfer->is_out_of_memory = !text_append(&transfer->head, line, len);
  return transfer->is_out_of_memory ? 0 : len;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
  struct transfer *transfer = context;
  size_t len = size * count;
  transfer_mark(transfer);
  if (!transfer->has_head) return len; /* of a redirection */
  transfer->is_paused = transfer->body.len > 0 && transfer->body.len + len > TRANSFER_BODY_MAX;
  if (transfer->is_paused) return CURL_WRITEFUNC_PAUSE;
  transfer->is_out_of_memory = !text_append(&transfer->body, bytes, len);
  return transfer->is_out_of_memory ? 0 : len;
}

static CURLcode set_method(CURL *easy, const struct transfer_options *options) {
  const char *method = options->method;
  if (strcmp(method, "HEAD") == 0) return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  bool has_body = options->body.ptr != NULL;
  if (strcmp(method, "GET") == 0 && !has_body) return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  CURLcode code = CURLE_OK;
  if (has_body || strcmp(method, "POST") == 0) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body.len);
    code = curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, has_body ? options->body.ptr : "");
  }
  /* For POST it would also hold after a redirection that turns it into GET. */
  if (code == CURLE_OK && strcmp(method, "POST") != 0) code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
  return code;
}

CURLcode transfer_init(struct transfer *transfer, const struct transfer_options *options) {
  CURL *easy = transfer->easy = curl_easy_init();
  if (!easy) return CURLE_OUT_OF_MEMORY;
  transfer->redirects_max = options->redirects;
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->problem);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
  /* Otherwise, the end of a request whose name is being resolved waits for the resolver's thread. */
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
  curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* not what the environment says */
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, options->redirects > 0 ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_MAXREDIRS, options->redirects);
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_ms);
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
  curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  if (options->is_unverified) {
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  }
  CURLcode code = CURLE_OK;
  if (options->ca_file) code = curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
  if (code == CURLE_OK && options->unix_socket) code = curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, options->unix_socket);
  if (code == CURLE_OK) code = curl_easy_setopt(easy, CURLOPT_URL, options->url);
  if (code == CURLE_OK) code = set_method(easy, options);
  return code;
}

CURLcode transfer_add_field(struct transfer *transfer, const char *line) {
  struct curl_slist *longer = curl_slist_append(transfer->fields, line);
  if (!longer) return CURLE_OUT_OF_MEMORY;
  transfer->fields = longer;
  return curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, longer);
}

void transfer_free(struct transfer *transfer) {
  if (transfer->easy) curl_easy_cleanup(transfer->easy);
  transfer->easy = NULL;
  curl_slist_free_all(transfer->fields);
  transfer->fields = NULL;
  text_free(&transfer->head);
  text_free(&transfer->body);
}

void transfer_end(struct transfer *transfer, CURLcode result) {
  transfer->is_done = true;
  transfer->result = result;
  /* libcurl's word for a line of a head that exceeds its own limit */
  if (result == CURLE_OUT_OF_MEMORY && transfer->status == 0) transfer->is_too_large = true;
}

void transfer_taken(struct transfer *transfer) {
  transfer->body.len = 0;
  if (transfer->body.capacity > TRANSFER_BODY_MAX) text_free(&transfer->body);
  if (!transfer->is_paused || transfer->is_done) return;
  transfer->is_paused = false;
  curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
}

static const char *code_of(const struct transfer *transfer) {
  switch (transfer->result) {
    case CURLE_OPERATION_TIMEDOUT: return "timeout";
    case CURLE_URL_MALFORMAT: return "invalid";
    case CURLE_TOO_MANY_REDIRECTS: return "redirects";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER: return "tls";
    default: return transfer->is_too_large ? "too_large" : "unavailable";
  }
}

const char *transfer_problem(const struct transfer *transfer, const char **code) {
  *code = code_of(transfer);
  if (transfer->is_too_large) return "the header fields of the answer exceed 64 KiB";
  if (transfer->is_out_of_memory) return "not enough memory";
  return transfer->problem[0] ? transfer->problem : curl_easy_strerror(transfer->result);
}
