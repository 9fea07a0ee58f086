/* The peer end of a memory stream: the peer's side of a connection that lives in the process and has no socket.
 *
 * Both ends are used on the loop's thread. What the peer writes is read by the stream in a later turn of the loop; of what the
 * stream writes the system in between takes STREAM_PEER_WINDOW bytes ahead of the peer, and no more, as a socket would. */
#ifndef MOONWIRE_NET_STREAM_PEER_H
#define MOONWIRE_NET_STREAM_PEER_H

#include "base/buffer.h"
#include "net/stream.h"

VISIBILITY_PUSH

enum { STREAM_PEER_WINDOW = 64 * 1024 };

struct stream_peer {
  struct stream *stream;                  /* NULL: it is closed, or not joined yet */
  struct buffer up;                       /* from the peer, not read yet */
  struct buffer down;                     /* to the peer, not taken yet */
  struct bytes slices[STREAM_SLICES_MAX]; /* of the stream_write under way, from slice_at on */
  size_t slice_at, slice_count;
  const char *remote; /* the peer's address, as stream_remote says it; NULL: "memory" */
  unsigned refs;      /* the stream's and the peer's */
  bool is_writing;    /* a stream_write is under way */
  bool is_reading;    /* the stream wants what comes */
  bool is_finished;   /* the peer writes nothing more */
  bool is_notified;   /* and the stream knows */
  bool is_closed;     /* the peer has closed */
  bool is_ended;      /* the stream writes nothing more */
};

/* The peer's side. The caller closes it. NULL without memory. */
struct stream_peer *stream_peer_new(void);
/* Joins a stream that was initialised as STREAM_MEMORY; once. */
void stream_peer_join(struct stream_peer *peer, struct stream *stream);
/* MW_ECLOSED: the stream has gone, or stream_peer_finish was called. MW_ENOMEM. */
int stream_peer_write(struct stream_peer *peer, struct bytes bytes);
/* Takes what the stream has written; how many bytes. */
size_t stream_peer_read(struct stream_peer *peer, char *out, size_t size);
/* The stream has ended and all of it was taken. */
bool stream_peer_ended(const struct stream_peer *peer);
/* Says that nothing more will be written; reading goes on. */
void stream_peer_finish(struct stream_peer *peer);
void stream_peer_close(struct stream_peer *peer);

/* The stream's side: initializes the handle of a STREAM_MEMORY, which has the following functions. A status of libuv. */
int memory_stream_init(struct stream *stream);
extern const struct stream_ops memory_stream_ops;

VISIBILITY_POP

#endif
