/* The far end of a memory stream: the peer's side of a connection that lives in the process and has no socket.
 *
 * Both ends are used on the loop's thread. What the peer writes is read by the stream in a later turn of the loop; of what the
 * stream writes the system in between takes FAR_WINDOW bytes ahead of the peer, and no more, as a socket would. */
#ifndef MOONWIRE_NET_FAR_END_H
#define MOONWIRE_NET_FAR_END_H

#include "base/buffer.h"
#include "net/stream.h"

VISIBILITY_PUSH

enum { FAR_WINDOW = 64 * 1024 };

struct far_end {
  struct stream *stream;                  /* NULL: it is closed, or not joined yet */
  struct buffer up;                       /* from the peer, not read yet */
  struct buffer down;                     /* to the peer, not taken yet */
  struct bytes slices[STREAM_SLICES_MAX]; /* of the stream_write under way, from slice_at on */
  size_t slice_at, slice_count;
  const char *remote; /* the peer's address, as stream_remote says it; NULL: "memory" */
  unsigned refs;      /* the stream's and the peer's */
  bool is_writing;    /* a stream_write is under way */
  bool is_reading;    /* the stream wants what comes */
  bool is_over;       /* the peer writes nothing more */
  bool is_told;       /* and the stream knows */
  bool is_gone;       /* the peer has closed */
  bool is_ended;      /* the stream writes nothing more */
};

/* The peer's side. The caller closes it. NULL without memory. */
struct far_end *far_end_new(void);
/* Joins a stream that was initialised as STREAM_MEMORY; once. */
void far_end_join(struct far_end *far, struct stream *stream);
/* MW_ECLOSED: the stream has gone, or far_end_finish was called. MW_ENOMEM. */
int far_end_write(struct far_end *far, struct bytes bytes);
/* Takes what the stream has written; how many bytes. */
size_t far_end_read(struct far_end *far, char *out, size_t size);
/* The stream has ended and all of it was taken. */
bool far_end_ended(const struct far_end *far);
/* Says that nothing more will be written; reading goes on. */
void far_end_finish(struct far_end *far);
void far_end_close(struct far_end *far);

/* The stream's side: initializes the handle of a STREAM_MEMORY, which has the following functions. A status of libuv. */
int far_stream_init(struct stream *stream);
extern const struct stream_ops far_stream_ops;

VISIBILITY_POP

#endif
