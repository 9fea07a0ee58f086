#include "http/admission/remote.h"

#include <string.h>

#include "app/app.h"
#include "base/log_limit.h"
#include "base/memory.h"

/* An address that a proxy has told, and the scheme. */
struct told_client {
  struct ip_address address;
  bool has_address; /* false: that of the peer */
  uint8_t scheme;   /* enum scheme */
};

struct remote {
  uint64_t counted;      /* the key of the address whose connections this one is among; 0: none */
  struct buffer *header; /* the beginning of the PROXY header; NULL: none */
  struct told_client of_conn, of_request;
  bool is_trusted; /* headers of its requests count */
  bool awaits_header;
  const char *adopted; /* the address, as another worker wrote it; NULL: the connection is its own */
};

static struct remote *remote_of(const struct conn *conn) { return stream_note(&conn->stream); }

/* Returns the address of the peer, borrowed until that of another one is asked for. */
static const char *remote_peer(const struct conn *conn) {
  struct peer_memo *memo = &conn_http(conn)->peer;
  if (memo->conn != conn) stream_remote(&conn->stream, memo->text, sizeof memo->text);
  memo->conn = conn;
  return memo->text;
}

static struct app *remote_app(const struct conn *conn) { return conn_http(conn)->app; }

/* ---- Counting -------------------------------------------------------------------------------- */

static void remote_uncount(struct conn *conn, struct remote *remote) {
  if (remote->counted != 0) tally_release(&remote_app(conn)->tally, remote->counted);
  remote->counted = 0;
}

/* Counts the connection for the address that remote_write writes. Makes the record if there is
 * none. */
static int remote_count(struct conn *conn) {
  struct app *app = remote_app(conn);
  struct remote *remote = remote_of(conn);
  size_t max = app->config->options.limits.address_connections;
  char text[REMOTE_MAX];
  if (remote) remote_uncount(conn, remote);
  remote_write(conn, text, sizeof text);
  struct party_key party = party_key_of_address(text);
  if (max == 0 || party.len == 0) return 0;
  if (!remote) remote = memory_calloc(1, sizeof *remote);
  if (!remote) return MW_ENOMEM;
  stream_set_note(&conn->stream, remote);
  uint64_t key = tally_key(&app->tally, bytes_of(party.text, party.len));
  int status = tally_take(&app->tally, key, max);
  if (status == 0) remote->counted = key;
  if (status == MW_ELIMIT) {
    limit_count(&app->limits, MW_LIMIT_ADDRESS_CONNECTIONS);
    log_limited(MW_LOG_WARNING, "refused a connection: limits.address_connections (%zu) reached (address=%s)", max, text);
  }
  return status;
}

/* ---- Connections ----------------------------------------------------------------------------- */

int remote_begin(struct conn *conn, bool has_header) {
  const struct mw_config *config = remote_app(conn)->config;
  bool is_trusted = false;
  if (config_trusts_any(config)) is_trusted = config_trusts(config, bytes_string(remote_peer(conn)));
  if (!is_trusted) return remote_count(conn);
  struct remote *remote = memory_calloc(1, sizeof *remote);
  if (!remote) return MW_ENOMEM;
  remote->is_trusted = true;
  remote->awaits_header = has_header;
  stream_set_note(&conn->stream, remote);
  return 0;
}

int remote_adopt(struct conn *conn, const char *text, enum scheme scheme, bool is_trusted) {
  struct remote *remote = memory_calloc(1, sizeof *remote);
  if (!remote) return MW_ENOMEM;
  remote->adopted = text;
  remote->of_request.scheme = (uint8_t)scheme;
  remote->is_trusted = is_trusted;
  stream_set_note(&conn->stream, remote);
  return 0;
}

static void remote_free_header(struct remote *remote) {
  if (!remote->header) return;
  buffer_deinit(remote->header);
  memory_free(remote->header);
  remote->header = NULL;
}

void remote_end(struct conn *conn) {
  struct remote *remote = remote_of(conn);
  if (conn_http(conn)->peer.conn == conn) conn_http(conn)->peer.conn = NULL;
  if (!remote) return;
  remote_uncount(conn, remote);
  remote_free_header(remote);
  memory_free(remote);
  stream_set_note(&conn->stream, NULL);
}

/* ---- The PROXY header ------------------------------------------------------------------------ */

bool remote_awaits_header(const struct conn *conn) {
  const struct remote *remote = remote_of(conn);
  return remote && remote->awaits_header;
}

/* The proxy has told who connects. What this client sends is trusted only if it is a proxy, too. */
static int remote_take_header(struct conn *conn, struct remote *remote, const struct proxy_header *header) {
  remote->awaits_header = false;
  remote->of_conn =
      (struct told_client){.address = header->address, .has_address = header->has_address, .scheme = (uint8_t)header->scheme};
  remote->of_request = remote->of_conn;
  if (!header->has_address) return 0;
  char text[REMOTE_MAX];
  remote_write(conn, text, sizeof text);
  remote->is_trusted = config_trusts(remote_app(conn)->config, bytes_string(text));
  return remote->is_trusted ? 0 : remote_count(conn);
}

int remote_read_header(struct conn *conn, struct bytes *bytes, const char **fault) {
  struct remote *remote = remote_of(conn);
  struct proxy_header header;
  *fault = NULL;
  if (!remote->header) {
    remote->header = memory_alloc(sizeof *remote->header);
    if (!remote->header) return MW_ENOMEM;
    buffer_init(remote->header);
  }
  size_t before = remote->header->len, room = PROXY_HEADER_MAX - before;
  buffer_append(remote->header, bytes_of(bytes->ptr, bytes->len < room ? bytes->len : room));
  if (remote->header->failed) return MW_ENOMEM;
  enum proxy_result result = proxy_header_read(buffer_bytes(remote->header), &header, fault);
  if (result == PROXY_MALFORMED) return MW_EINVAL;
  size_t used = result == PROXY_DONE ? header.len - before : bytes->len;
  *bytes = bytes_of(bytes->ptr + used, bytes->len - used);
  if (result == PROXY_MORE) return 0;
  remote_free_header(remote);
  return remote_take_header(conn, remote, &header);
}

/* ---- Requests -------------------------------------------------------------------------------- */

int remote_begin_request(struct conn *conn, const struct http_head *head) {
  struct remote *remote = remote_of(conn);
  if (!remote || !remote->is_trusted || remote->adopted) return 0;
  const struct mw_config *config = remote_app(conn)->config;
  struct forwarded_client forwarded =
      forwarded_read(head, config_forwarded_headers(config), config->trusted, config->trusted_count);
  remote->of_request = remote->of_conn;
  if (forwarded.scheme != SCHEME_UNKNOWN) remote->of_request.scheme = (uint8_t)forwarded.scheme;
  if (forwarded.has_address) {
    remote->of_request.has_address = true;
    remote->of_request.address = forwarded.address;
  }
  if (remote->of_request.has_address) return remote_count(conn);
  remote_uncount(conn, remote);
  return 0;
}

void remote_end_request(struct conn *conn) {
  struct remote *remote = remote_of(conn);
  if (!remote || !remote->is_trusted || remote->adopted) return;
  remote_uncount(conn, remote);
  remote->of_request = remote->of_conn;
}

static void remote_copy(char *out, size_t size, const char *text) {
  size_t len = strnlen(text, size - 1);
  memcpy(out, text, len);
  out[len] = '\0';
}

void remote_write(const struct conn *conn, char *out, size_t size) {
  const struct remote *remote = remote_of(conn);
  char text[IP_TEXT_MAX];
  if (remote && remote->adopted) {
    remote_copy(out, size, remote->adopted);
    return;
  }
  if (!remote || !remote->of_request.has_address) {
    remote_copy(out, size, remote_peer(conn));
    return;
  }
  ip_write(&remote->of_request.address, text);
  remote_copy(out, size, text);
}

enum scheme remote_scheme(const struct conn *conn) {
  const struct remote *remote = remote_of(conn);
  return remote ? (enum scheme)remote->of_request.scheme : SCHEME_UNKNOWN;
}

bool remote_is_trusted(const struct conn *conn) {
  const struct remote *remote = remote_of(conn);
  return remote && remote->is_trusted;
}
