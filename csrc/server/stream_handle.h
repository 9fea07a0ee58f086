/* The app's handle of a raw event stream: what it sends travels to the worker like everything else. */
#ifndef MOONWIRE_SERVER_STREAM_HANDLE_H
#define MOONWIRE_SERVER_STREAM_HANDLE_H

#include "app/script_job.h"

VISIBILITY_PUSH

/* Text for a raw stream. */
struct stream_data {
  struct mail mail;
  struct script_job *job; /* a reference */
  struct blob *blob;
};

/* The classes of what comes for its exchange (role->on_mail): a struct stream_data, or the end of the stream, job->end. */
extern const struct mail_class stream_data_class, stream_end_class;

VISIBILITY_POP

#endif
