#include "codec/redis_url.h"

#include "base/hex.h"

enum { UNIX_PATH_MAX = 107 };

/* Decodes percent escapes. Returns false for a bad one, a NUL, or more than REDIS_SECRET_MAX bytes. */
static bool url_decode(char *out, struct bytes text) {
  size_t len = 0;
  for (size_t at = 0; at < text.len; at++) {
    char c = text.ptr[at];
    if (c == '%') {
      int high = at + 2 < text.len ? hex_value(text.ptr[at + 1]) : -1;
      int low = high >= 0 ? hex_value(text.ptr[at + 2]) : -1;
      if (low < 0) return false;
      c = (char)(high * 16 + low);
      at += 2;
    }
    if (c == '\0' || len == REDIS_SECRET_MAX) return false;
    out[len++] = c;
  }
  out[len] = '\0';
  return true;
}

static const char *url_read_db(struct redis_url *url, struct bytes text) {
  uint64_t db;
  if (!bytes_to_u64(text, &db) || db > REDIS_DB_MAX) return "the number of the database must be 0 to 65535";
  url->db = (unsigned)db;
  return NULL;
}

static bool url_copy_host(struct redis_url *url, struct bytes host) {
  if (host.len == 0 || host.len > REDIS_HOST_MAX || memchr(host.ptr, '\0', host.len)) return false;
  memcpy(url->host, host.ptr, host.len);
  url->host[host.len] = '\0';
  return true;
}

/* A byte of a host's name, or of an IPv6 address with its zone. */
static bool is_host_byte(char c, bool is_literal) {
  if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_') return true;
  return is_literal && (c == ':' || c == '%');
}

const char *redis_url_read_host(struct redis_url *url, struct bytes text, uint16_t default_port) {
  struct bytes host = text, port = {NULL, 0};
  bool is_literal = text.len > 0 && text.ptr[0] == '[';
  size_t end = is_literal ? bytes_find(text, ']') : bytes_find(text, ':');
  if (is_literal) {
    if (end == text.len) return "an IPv6 address must end with ]";
    host = bytes_of(text.ptr + 1, end - 1);
    end++;
  } else {
    host.len = end;
  }
  if (end < text.len) {
    if (text.ptr[end] != ':') return "the host must be followed by :port";
    port = bytes_of(text.ptr + end + 1, text.len - end - 1);
    uint64_t number;
    if (!bytes_to_u64(port, &number) || number == 0 || number > 65535) return "the port must be 1 to 65535";
    url->port = (uint16_t)number;
  } else {
    url->port = default_port;
  }
  for (size_t i = 0; i < host.len; i++) {
    if (!is_host_byte(host.ptr[i], is_literal)) return "invalid character in the host";
  }
  return url_copy_host(url, host) ? NULL : "the host is missing, or longer than 253 bytes";
}

static const char *url_read_login(struct redis_url *url, struct bytes login) {
  size_t colon = bytes_find(login, ':');
  if (colon == login.len) return "a username must be followed by :password";
  bool ok = url_decode(url->username, bytes_of(login.ptr, colon)) &&
            url_decode(url->password, bytes_of(login.ptr + colon + 1, login.len - colon - 1));
  if (!ok) return "the username or the password has an invalid percent escape, or more than 512 bytes";
  return url->password[0] == '\0' ? "the password is empty" : NULL;
}

static const char *url_read_unix(struct redis_url *url, struct bytes rest) {
  size_t query = bytes_find(rest, '?');
  struct bytes path = bytes_of(rest.ptr, query);
  if (bytes_starts_with(path, BYTES("//"))) path = bytes_of(path.ptr + 2, path.len - 2);
  if (path.len == 0 || path.ptr[0] != '/') return "the path of a unix socket must begin with /";
  if (path.len > UNIX_PATH_MAX || !url_copy_host(url, path)) return "the path of a unix socket has at most 107 bytes";
  if (query == rest.len) return NULL;
  struct bytes db = bytes_of(rest.ptr + query + 1, rest.len - query - 1);
  if (!bytes_starts_with(db, BYTES("db="))) return "after the path of a unix socket, only ?db=number may follow";
  return url_read_db(url, bytes_of(db.ptr + 3, db.len - 3));
}

/* The last `c`, since a password may have one; text.len if there is none. */
static size_t url_find_last(struct bytes text, char c) {
  for (size_t at = text.len; at > 0; at--)
    if (text.ptr[at - 1] == c) return at - 1;
  return text.len;
}

/* Takes what is before the last '@', if there is one, from *rest. */
static const char *url_take_login(struct redis_url *url, struct bytes *rest) {
  size_t at = url_find_last(*rest, '@');
  if (at == rest->len) return NULL;
  const char *fault = url_read_login(url, bytes_of(rest->ptr, at));
  *rest = bytes_of(rest->ptr + at + 1, rest->len - at - 1);
  return fault;
}

const char *redis_url_read_sentinel(struct redis_url *url, struct bytes text) {
  *url = (struct redis_url){0};
  struct bytes rest = text;
  const char *fault = url_take_login(url, &rest);
  return fault ? fault : redis_url_read_host(url, rest, REDIS_SENTINEL_PORT);
}

const char *redis_url_read(struct redis_url *url, struct bytes text) {
  *url = (struct redis_url){0};
  struct bytes rest;
  if (bytes_starts_with(text, BYTES("unix:"))) return url_read_unix(url, bytes_of(text.ptr + 5, text.len - 5));
  if (bytes_starts_with(text, BYTES("redis://"))) {
    rest = bytes_of(text.ptr + 8, text.len - 8);
  } else if (bytes_starts_with(text, BYTES("rediss://"))) {
    rest = bytes_of(text.ptr + 9, text.len - 9);
    url->is_tls = true;
  } else {
    return "must begin with redis://, rediss://, or unix:";
  }
  const char *fault = url_take_login(url, &rest);
  size_t slash = bytes_find(rest, '/');
  if (!fault) fault = redis_url_read_host(url, bytes_of(rest.ptr, slash), REDIS_PORT);
  if (!fault && slash + 1 < rest.len) fault = url_read_db(url, bytes_of(rest.ptr + slash + 1, rest.len - slash - 1));
  return fault;
}
