#include "broker/redis_sentinel.h"

int redis_sentinel_ask(struct redis_connection *redis, const struct redis_url *sentinel, const char *name,
                       struct link_command *login, struct link_command *question) {
  struct bytes words[] = {BYTES("AUTH"), bytes_string(sentinel->username), bytes_string(sentinel->password)};
  struct bytes asked[] = {BYTES("SENTINEL"), BYTES("get-master-addr-by-name"), bytes_string(name)};
  if (sentinel->password[0]) {
    if (!sentinel->username[0]) words[1] = words[2];
    int status = redis_connection_send(redis, words, sentinel->username[0] ? 3 : 2, login);
    if (status < 0) return status;
  }
  return redis_connection_send(redis, asked, 3, question);
}

/* ["10.0.0.1", "6379"], or nil */
bool redis_sentinel_read(const struct resp_value *reply, struct redis_url *master) {
  struct bytes host = resp_text(resp_item(reply, 0));
  uint64_t port;
  if (host.len == 0 || host.len > REDIS_HOST_MAX || memchr(host.ptr, '\0', host.len)) return false;
  if (!resp_u64(resp_item(reply, 1), &port) || port == 0 || port > 65535) return false;
  memcpy(master->host, host.ptr, host.len);
  master->host[host.len] = '\0';
  master->port = (uint16_t)port;
  return true;
}
