/* The peer of a memory stream: the other end of a connection within the process, without a socket.
 *
 * Both ends are used on the thread of the loop. The stream reads in a later turn of the loop what
 * the peer has written. In the other direction, STREAM_PEER_WINDOW bytes are buffered for the peer,
 * as the system would for a socket. */
#ifndef MOONWIRE_NET_STREAM_PEER_H
#define MOONWIRE_NET_STREAM_PEER_H

#include "base/buffer.h"
#include "net/stream.h"

VISIBILITY_PUSH

enum { STREAM_PEER_WINDOW = 64 * 1024 };

struct stream_peer {
  struct stream *stream;                  /* NULL if it is closed, or not joined yet */
  struct buffer up;                       /* from the peer; not read yet */
  struct buffer down;                     /* to the peer; not read yet */
  struct bytes slices[STREAM_SLICES_MAX]; /* of the stream_write in progress, from slice_at on */
  size_t slice_at, slice_count;
  const char *remote; /* the peer's address for stream_remote; NULL: "memory" */
  unsigned refs;      /* of the stream and of the peer */
  bool is_writing;    /* a stream_write is in progress */
  bool is_reading;    /* the stream is reading */
  bool is_finished;   /* the peer will not write any more */
  bool is_notified;   /* the stream was notified of that */
  bool is_closed;     /* the peer has closed */
  bool is_ended;      /* the stream will not write any more */
};

/* Returns a peer, which the caller closes, or NULL if out of memory. */
struct stream_peer *stream_peer_new(void);
/* Joins it with a stream that was initialized as STREAM_MEMORY; once. */
void stream_peer_join(struct stream_peer *peer, struct stream *stream);
/* Writes all of the bytes. Returns 0, MW_ENOMEM, or MW_ECLOSED if the stream is closed or
 * stream_peer_finish was called. */
int stream_peer_write(struct stream_peer *peer, struct bytes bytes);
/* Reads what the stream has written. Returns the number of bytes. */
size_t stream_peer_read(struct stream_peer *peer, char *out, size_t size);
/* Returns true if the stream has ended, and everything was read. */
bool stream_peer_ended(const struct stream_peer *peer);
/* Ends the peer's side: it will not write any more. Reading continues. */
void stream_peer_finish(struct stream_peer *peer);
void stream_peer_close(struct stream_peer *peer);

/* The stream's side: initializes the handle of a STREAM_MEMORY, which uses the functions below.
 * Returns a status of libuv. */
int memory_stream_init(struct stream *stream);
extern const struct stream_ops memory_stream_ops;

VISIBILITY_POP

#endif
