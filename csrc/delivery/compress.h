/* Compressed forms (permessage-deflate). A message is compressed once for each window size in use,
 * regardless of the number of subscribers. Only a subscriber whose client accepts references to
 * earlier messages has its own deflater (a form that is_own). */
#ifndef MOONWIRE_DELIVERY_COMPRESS_H
#define MOONWIRE_DELIVERY_COMPRESS_H

#include "delivery/subscriber.h"

VISIBILITY_PUSH

/* The deflater of a subscriber with a form that is_own. */
struct own_deflate {
  struct ws_deflater *deflater; /* NULL before its first message */
  enum ws_window window;
  size_t min; /* messages of fewer bytes are not compressed */
};

void own_deflate_free(struct own_deflate *own); /* NULL is allowed */

/* Returns the message in that form, which is made now if it does not exist yet. Borrowed from the
 * message; NULL if out of memory. Not for a form that is_own. */
struct blob *compress_shared(struct delivery *delivery, const struct form_class *class, struct message *message);
/* Returns the message in the subscriber's form: a reference, or NULL if out of memory. */
struct blob *compress_message(struct subscriber *subscriber, struct message *message);
/* Compresses a frame for this subscriber only, if its form is compressed and its payload has at
 * least `min` bytes. Takes the frame, which may be NULL. Returns NULL if out of memory. */
struct blob *compress_frame(struct subscriber *subscriber, struct blob *frame, size_t min);
/* Writes a text that shares one blob as a frame that shares the compressed blob, which is made once
 * for all subscribers that get the same. Returns false if the text must be sent uncompressed.
 * *compressed: the bytes that had to be compressed now. */
bool compress_rope(struct subscriber *subscriber, const struct rope *text, struct rope *frame, size_t *compressed);

VISIBILITY_POP

#endif
