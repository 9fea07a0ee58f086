/* A connected byte stream: TCP, a unix socket, or memory (net/stream_peer.h). Non-blocking,
 * ordered, and closed exactly once. */
#ifndef MOONWIRE_NET_STREAM_H
#define MOONWIRE_NET_STREAM_H

#include "base/bytes.h"
#include "net/loop.h"

VISIBILITY_PUSH

struct stream;
struct stream_peer;

/* Shared by all streams of a worker: where events go, and the buffer that all of them read into. */
struct stream_owner {
  struct loop *loop;
  char *read_buffer;
  size_t read_buffer_size;
  /* false: nothing more is read from this one before the next turn; NULL: always true */
  bool (*may_read)(struct stream *stream);
  /* the bytes are valid during the call */
  void (*on_read)(struct stream *stream, struct bytes bytes);
  /* the peer has ended (UV_EOF), or the connection failed; reading has stopped */
  void (*on_end)(struct stream *stream, int status);
  void (*on_written)(struct stream *stream, int status); /* a stream_write has ended */
  /* the owner frees the memory, here and nowhere else */
  void (*on_closed)(struct stream *stream);
};

/* A stream that does not belong to libuv. The functions work as the stream_ functions with their
 * names. The bytes that such a stream receives and those that it writes may differ in number, as
 * with encryption: `try_write` returns how many of the given bytes it accepted, and `unwritten`
 * counts the same bytes. */
struct stream_ops {
  void (*read)(struct stream *stream, bool on);
  ptrdiff_t (*try_write)(struct stream *stream, const struct bytes *slices, size_t count);
  int (*write)(struct stream *stream, const struct bytes *slices, size_t count);
  size_t (*unwritten)(const struct stream *stream);
  void (*end)(struct stream *stream);
  const char *(*remote)(const struct stream *stream);
  /* The stream is about to be closed. With a reset, bytes that the peer has not received are
   * lost. */
  void (*closing)(struct stream *stream, bool reset);
  /* The stream is closed: a write in progress ends with UV_ECANCELED. */
  void (*closed)(struct stream *stream);
};

/* Must be the last member of the struct that contains it: a TCP stream takes STREAM_TCP_SIZE bytes,
 * and a unix socket more. */
struct stream {
  struct stream_owner *owner;
  union {
    uv_stream_t stream;
    uv_tcp_t tcp;
    struct {
      /* a handle like the others: it is closed like them, and its type tells the kind */
      uv_async_t wake;
      const struct stream_ops *ops;
      struct stream_peer *peer;
    } own;
  } uv;
};

enum stream_kind { STREAM_TCP, STREAM_UNIX, STREAM_MEMORY };
/* Returns the size of a struct stream of that kind. */
size_t stream_size(enum stream_kind kind);

/* Initializes the handle; after that, it must be closed. Returns a status of libuv; after a
 * failure, there is nothing to close. */
int stream_init(struct stream *stream, struct stream_owner *owner, enum stream_kind kind);
/* Connects it with the descriptor of an accepted peer, which it takes. Returns a status of libuv. */
int stream_adopt(struct stream *stream, enum stream_kind kind, int fd);
/* Turns TCP_NODELAY and keep-alive on. The system closes the connection if the peer acknowledges
 * nothing for that long. */
void stream_set_options(struct stream *stream, uint64_t user_timeout_ms);
/* Writes the peer's address without port, or "unix", or "memory". */
void stream_remote(const struct stream *stream, char *out, size_t out_size);

/* Sets and returns a pointer of the owner, NULL at first: the place that libuv has for one. */
static inline void stream_set_note(struct stream *stream, void *note) { stream->uv.stream.data = note; }
static inline void *stream_note(const struct stream *stream) { return stream->uv.stream.data; }

int stream_read_start(struct stream *stream);
void stream_read_stop(struct stream *stream);

/* Writes as much of up to STREAM_SLICES_MAX slices as is possible immediately. Returns the number
 * of bytes (0: none now), or a status of libuv. */
enum { STREAM_SLICES_MAX = 64 };
ptrdiff_t stream_try_write(struct stream *stream, const struct bytes *slices, size_t count);
/* Writes all slices as the peer reads them. The bytes must stay valid until on_written. One at a
 * time. Returns 0, MW_ENOMEM, or a status of libuv. */
int stream_write(struct stream *stream, const struct bytes *slices, size_t count);
/* Returns the bytes on their way to the peer: those of the stream_write in progress that the system
 * has not accepted, and, if the system reports them, those that the peer has not acknowledged. */
size_t stream_unwritten(const struct stream *stream);
/* True if the system holds bytes that were not read yet. */
bool stream_has_unread(const struct stream *stream);

/* Ends our side. Reading continues. */
void stream_end(struct stream *stream);
void stream_close(struct stream *stream);
/* Closes with a reset, so that nothing stays in the system. */
void stream_abort(struct stream *stream);
bool stream_is_closing(const struct stream *stream);

VISIBILITY_POP

#endif
