/* A raw stream follows a channel: it is a subscriber of the channel, and the app waits until the
 * channel, or the stream, has ended. transport/follow.h has the worker's part.
 *
 * It travels to the worker with its join job, which is admitted as the job of any subscriber is, and
 * back to the script when it has ended. */
#ifndef MOONWIRE_SCRIPT_FOLLOW_H
#define MOONWIRE_SCRIPT_FOLLOW_H

#include "app/app.h"
#include "app/script_job.h"

VISIBILITY_PUSH

struct mw_follow {
  atomic_uint refs;
  struct app *app;
  struct mail mail;          /* to the script: it has ended */
  struct mail cancel;        /* to the worker: the app ends it */
  struct script_job *stream; /* of the raw stream; a reference */
  struct script_job *join;   /* its channel, and its cursor; a reference, mail included */
  char since[ID_LEN + 1];    /* a longer id is not of this server */
  size_t since_len;
  bool until_final;
  /* The worker's. */
  bool has_ended;
  int status; /* of the end */
  /* The script's. */
  struct mw_stream *handle; /* NULL: it was freed */
  bool is_done;
  void (*on_done)(void *context, int status); /* NULL: the app has released it */
  void *context;
};

struct mw_follow *follow_ref(struct mw_follow *follow);
void follow_unref(struct mw_follow *follow);
/* Called by the worker when it has ended: notifies the script once. */
void follow_end(struct mw_follow *follow, int status);
/* For the script's queue. */
extern const struct mail_class follow_ended_class;

VISIBILITY_POP

#endif
