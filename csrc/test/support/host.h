/* A server that the test steps itself, its app, and its peers, which are sockets of the same
 * process. */
#ifndef MOONWIRE_TEST_SUPPORT_HOST_H
#define MOONWIRE_TEST_SUPPORT_HOST_H

#include "moonwire.h"

enum { HOST_KEPT_MAX = 64 };

/* The app. It answers every request immediately, as `keep` and `refuse` define, and records the
 * requests. */
struct host {
  struct mw_server *server;
  char address[160];
  /* bits 1 << enum mw_request_type: the test answers these */
  unsigned keep;
  unsigned refuse; /* the same: refused with 403 */
  /* refuses a kept request when it is cancelled, as a script does */
  bool yields;
  struct mw_request *kept[HOST_KEPT_MAX]; /* oldest first */
  size_t kept_count;
  struct mw_stream *streams[HOST_KEPT_MAX]; /* started by MW_REQUEST_STREAM */
  size_t stream_count, streams_closed;
  char trace[4096];   /* "authorize a; open a; cancel join a; " */
  unsigned stops;     /* how often on_stopped was called */
  int opened, joined; /* accepted and not closed; accepted and not left */
};

struct host_options {
  /* NULL: the defaults, with the publish key "key" */
  void (*set)(struct mw_config_options *options);
  int (*define)(struct mw_config *config); /* adds kinds and routes; returns a status */
  void *loop;                              /* a uv_loop_t */
  bool is_unix;
  /* As mw_server_options.workers; 0: MOONWIRE_TEST_WORKERS of the environment, or one. A test that
   * looks into the first worker asks for one. */
  unsigned workers;
};

/* Returns 0, or the status of what failed; then there is nothing to free. */
int host_begin(struct host *host, const struct host_options *options);
/* Frees the server and releases the streams. The test must answer the kept requests itself. */
void host_end(struct host *host);
/* Answers the oldest kept request: as if it had not been kept, or with 403. */
void host_answer(struct host *host);
void host_refuse(struct host *host);
/* Publishes `data`. Returns the status. */
int host_publish(struct host *host, const char *channel, const char *data);
/* Replaces the configuration by what `set` and `define` of the options make. Returns a status. */
int host_set_config(struct host *host, const struct host_options *options);
/* Calls mw_server_stop, which counts in host->stops. */
void host_stop(struct host *host);
/* Advances the server's clock and runs what is due. */
void host_pass(struct host *host, uint64_t ms);

/* Steps until the condition is true, and fails after many seconds. */
#define host_until(host, condition)                                                                                              \
  for (uint64_t wait_begun_ms = host_now_ms(); !(condition); host_wait((host), wait_begun_ms, #condition, __FILE__, __LINE__))   \
  continue
uint64_t host_now_ms(void);
void host_wait(struct host *host, uint64_t begun_ms, const char *condition, const char *file, int line);
/* Steps until nothing more happens immediately. */
void host_settle(struct host *host);

struct peer {
  int fd;     /* -1: closed */
  bool ended; /* the server has closed */
  bool reset; /* with a reset */
  char *in;   /* all that was received, terminated; not allocated by the library */
  size_t len, capacity;
  char *stream; /* see peer_stream */
};

void peer_connect(struct peer *peer, struct host *host);
void peer_send(struct peer *peer, const char *text);
/* Sends "GET <target> HTTP/1.1" with Host and the further headers, each with its CRLF. */
void peer_get(struct peer *peer, const char *target, const char *fields);
/* Reads up to `max` bytes. Returns true if the server has closed. */
bool peer_read(struct peer *peer, size_t max);
/* Reads what is available. Returns true if `text` was received. */
bool peer_has(struct peer *peer, const char *text);
bool peer_ended(struct peer *peer);
void peer_end_writing(struct peer *peer);
void peer_close(struct peer *peer);
/* Returns how often the text was received. */
size_t peer_count(const struct peer *peer, const char *text);
/* Returns the body of an event stream, without its complete chunk heads; NULL before a head with
 * status 200. */
const char *peer_stream(struct peer *peer);
/* Returns the stream in short: "1 2 gap(a) 3 " for the data of events and for gaps. Everything else
 * is omitted. */
const char *peer_events(struct peer *peer);
/* Returns the last id of the stream, as an EventSource remembers it; "" if there was none. */
const char *peer_last_id(struct peer *peer);

#endif
