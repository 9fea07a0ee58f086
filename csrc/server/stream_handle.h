/* The app's handle of a raw event stream: what it sends travels to the worker like everything else. */
#ifndef MOONWIRE_SERVER_STREAM_HANDLE_H
#define MOONWIRE_SERVER_STREAM_HANDLE_H

#include "server/errand.h"

VISIBILITY_PUSH

struct stream_data;

/* The worker says that the stream of this errand is over. */
void stream_handle_closed(struct errand *errand);
void stream_data_free(struct stream_data *data);

VISIBILITY_POP

#endif
