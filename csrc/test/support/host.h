/* A server stepped by the test itself, the app behind it, and its peers: plain sockets of the same process. */
#ifndef MOONWIRE_TEST_SUPPORT_HOST_H
#define MOONWIRE_TEST_SUPPORT_HOST_H

#include "moonwire.h"

enum { HOST_KEPT_MAX = 64 };

/* The app: answers every request at once as `keep` and `refuse` say, and writes down what it was asked. */
struct host {
  struct mw_server *server;
  char address[160];
  unsigned keep;                          /* bits 1 << enum mw_request_type: left for the test to answer */
  unsigned refuse;                        /* likewise: refused with 403 */
  bool yields;                            /* a kept request that is cancelled is refused there and then, as a script does */
  struct mw_request *kept[HOST_KEPT_MAX]; /* oldest first */
  size_t kept_count;
  struct mw_stream *streams[HOST_KEPT_MAX]; /* begun by MW_REQUEST_STREAM */
  size_t stream_count, streams_closed;
  char trace[4096];   /* "authorize a; open a; cancel join a; " */
  unsigned stops;     /* how often on_stopped was called */
  int opened, joined; /* accepted and not closed, not left since */
};

struct host_options {
  void (*set)(struct mw_config_options *options); /* NULL: the defaults, with the publish key "key" */
  int (*define)(struct mw_config *config);        /* adds kinds and routes; a status */
  void *loop;                                     /* a uv_loop_t */
  bool is_unix;
};

/* 0, or the status of what failed; then nothing is left behind. */
int host_begin(struct host *host, const struct host_options *options);
/* Frees the server and lets go of streams; kept requests stay the test's. */
void host_end(struct host *host);
/* Answers the oldest kept request: as if it had not been kept; or with 403. */
void host_answer(struct host *host);
void host_refuse(struct host *host);
/* Publishes `data`; its status. */
int host_publish(struct host *host, const char *channel, const char *data);
/* mw_server_stop with host->stops. */
void host_stop(struct host *host);
/* Moves the server's clock on by hand and does what is due. */
void host_pass(struct host *host, uint64_t ms);

/* Steps until the condition holds, and fails after many seconds. */
#define host_until(host, condition)                                                                                              \
  for (uint64_t wait_begun_ms = host_now_ms(); !(condition); host_wait((host), wait_begun_ms, #condition, __FILE__, __LINE__))   \
  continue
uint64_t host_now_ms(void);
void host_wait(struct host *host, uint64_t begun_ms, const char *condition, const char *file, int line);
/* Steps until nothing more happens at once. */
void host_settle(struct host *host);

struct peer {
  int fd;     /* -1: closed */
  bool ended; /* the server has closed */
  bool reset; /* by a reset */
  char *in;   /* all that came, terminated; a peer's memory is not the library's */
  size_t len, capacity;
  char *stream; /* see peer_stream */
};

void peer_connect(struct peer *peer, struct host *host);
void peer_send(struct peer *peer, const char *text);
/* "GET <target> HTTP/1.1" with Host and the further fields, each with its CRLF. */
void peer_get(struct peer *peer, const char *target, const char *fields);
/* Reads what is there, up to `max` bytes; true if the server has closed. */
bool peer_read(struct peer *peer, size_t max);
/* Reads what is there; true if `text` has come by now. */
bool peer_has(struct peer *peer, const char *text);
bool peer_ended(struct peer *peer);
void peer_end_writing(struct peer *peer);
void peer_close(struct peer *peer);
/* How often the text has come. */
size_t peer_count(const struct peer *peer, const char *text);
/* The body of an event stream, chunks taken off as far as they are complete; NULL while there is no head of status 200. */
const char *peer_stream(struct peer *peer);
/* What the stream said, in short: "1 2 gap(a) 3 " for the data of events and for gaps; everything else is left out. */
const char *peer_events(struct peer *peer);
/* The last id of the stream, as an EventSource remembers it; "" if there was none. */
const char *peer_last_id(struct peer *peer);

#endif
