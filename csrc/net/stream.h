/* A connected byte stream: TCP, a unix socket, or memory (net/stream_peer.h). Non-blocking, ordered, closed exactly once. */
#ifndef MOONWIRE_NET_STREAM_H
#define MOONWIRE_NET_STREAM_H

#include "base/bytes.h"
#include "net/loop.h"

VISIBILITY_PUSH

struct stream;
struct stream_peer;

/* What all streams of a worker share: where events go, and the one buffer that all of them read into. */
struct stream_owner {
  struct loop *loop;
  char *read_buffer;
  size_t read_buffer_size;
  bool (*may_read)(struct stream *stream); /* false: nothing is read of this one before the next turn; NULL: always true */
  void (*on_read)(struct stream *stream, struct bytes bytes); /* the bytes hold for the call */
  void (*on_end)(struct stream *stream, int status); /* the peer ended (UV_EOF) or the connection broke; reading has stopped */
  void (*on_written)(struct stream *stream, int status); /* a stream_write is over */
  void (*on_closed)(struct stream *stream);              /* its memory may go, here and nowhere else */
};

/* A stream that is not one of libuv's. Its functions do as the stream_ functions of their names. What such a stream is offered and what it hands
 * on may differ in length, as with encryption: `try_write` returns how many of the offered bytes it took care of, and `unwritten` counts in the
 * same bytes. */
struct stream_ops {
  void (*read)(struct stream *stream, bool on);
  ptrdiff_t (*try_write)(struct stream *stream, const struct bytes *slices, size_t count);
  int (*write)(struct stream *stream, const struct bytes *slices, size_t count);
  size_t (*unwritten)(const struct stream *stream);
  void (*end)(struct stream *stream);
  const char *(*remote)(const struct stream *stream);
  /* The stream is about to be closed; with a reset, what the peer has not taken is lost. */
  void (*closing)(struct stream *stream, bool reset);
  /* The stream is closed: a write in progress ends with UV_ECANCELED. */
  void (*closed)(struct stream *stream);
};

/* The last member of whatever embeds it: a TCP stream takes STREAM_TCP_SIZE bytes, a unix socket's is larger. */
struct stream {
  struct stream_owner *owner;
  union {
    uv_stream_t stream;
    uv_tcp_t tcp;
    struct {
      uv_async_t wake; /* a handle as good as the others: it is closed like them, and its type tells the kind */
      const struct stream_ops *ops;
      struct stream_peer *peer;
    } own;
    uv_timer_t none; /* never started */
  } uv;
};

enum stream_kind { STREAM_TCP, STREAM_UNIX, STREAM_MEMORY, STREAM_NONE };
/* The size of a struct stream of that kind. */
size_t stream_size(enum stream_kind kind);

/* Initialises the handle; from then on it must be closed. A status of libuv: then there is nothing to close. */
int stream_init(struct stream *stream, struct stream_owner *owner, enum stream_kind kind);
/* Turns TCP_NODELAY and keep-alive on, and lets the system give up a peer that acknowledges nothing for that long. */
void stream_set_options(struct stream *stream, uint64_t user_timeout_ms);
/* The peer's address without port, or "unix", or "memory". */
void stream_remote(const struct stream *stream, char *out, size_t out_size);

int stream_read_start(struct stream *stream);
void stream_read_stop(struct stream *stream);

/* Writes what the system takes at once of up to STREAM_SLICES_MAX slices: how many bytes (0: none now), or a status of libuv. */
enum { STREAM_SLICES_MAX = 64 };
ptrdiff_t stream_try_write(struct stream *stream, const struct bytes *slices, size_t count);
/* Writes all of them as the peer takes them; the bytes must hold until on_written. One at a time. MW_ENOMEM or a status of libuv. */
int stream_write(struct stream *stream, const struct bytes *slices, size_t count);
/* Bytes on their way to the peer: those of the stream_write under way that the system has not taken, and, where it tells, those that it has
 * taken and the peer has not. */
size_t stream_unwritten(const struct stream *stream);

/* Ends our side; what the peer still sends is read on. */
void stream_end(struct stream *stream);
void stream_close(struct stream *stream);
/* Closes with a reset, so that nothing lingers in the system. */
void stream_abort(struct stream *stream);
bool stream_is_closing(const struct stream *stream);
/* False for STREAM_NONE, which is only there to be closed. */
bool stream_has_peer(const struct stream *stream);

VISIBILITY_POP

#endif
