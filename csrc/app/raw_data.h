/* Data of the app for a raw stream or a raw WebSocket. The role of its exchange receives it
 * (role->on_mail). */
#ifndef MOONWIRE_APP_RAW_DATA_H
#define MOONWIRE_APP_RAW_DATA_H

#include "base/blob.h"
#include "base/mail.h"

VISIBILITY_PUSH

struct app;
struct mw_socket;
struct script_job;

struct raw_data {
  struct mail mail;
  struct script_job *job;   /* of a raw stream: one reference */
  struct mw_socket *socket; /* or of a raw WebSocket: one reference */
  struct blob *blob;        /* text, or a frame; NULL: it was taken, or the stream must end */
  size_t size;              /* of the blob */
};

/* Posts a blob for a job or a socket, and takes it. Returns 0, MW_EUNAVAILABLE, or MW_ENOMEM. */
int raw_data_post(struct app *app, struct script_job *job, struct mw_socket *socket, struct blob *blob);
void raw_data_free(struct raw_data *data);

VISIBILITY_POP

#endif
