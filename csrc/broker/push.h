/* Readers of what the scripts publish: messages, pages of histories, bells, and members (broker/scripts). Other programs
 * may publish to these channels, so everything is checked. */
#ifndef MOONWIRE_BROKER_PUSH_H
#define MOONWIRE_BROKER_PUSH_H

#include "broker/members.h"
#include "hub/id.h"

VISIBILITY_PUSH

/* Texts are borrowed from what was read. */
struct push_message {
  struct bytes record;
  uint64_t position; /* 0: volatile */
  uint64_t before;   /* the position of the channel's previous message, or a floor */
  bool is_floor;     /* that message is unknown, and there was none after `before` */
};

struct push_page {
  uint64_t number;
  struct epoch epoch;
  uint64_t position; /* everything up to it, in all channels, was published before the page */
  uint64_t last;     /* of the newest message of the channel; 0: none is known */
  uint64_t gone;     /* messages of the channel up to it are nowhere */
  uint64_t ended;    /* `last`, if that message is final; or 0 */
  bool has_more;     /* not everything that was asked for had room */
  struct bytes messages;
};

/* Who has joined and left a channel. */
struct push_presence {
  struct epoch epoch;
  uint64_t number;      /* a position */
  uint64_t before;      /* the number of the channel's previous announcement; 0: unknown */
  uint64_t count;       /* members after it */
  struct bytes changes; /* for broker_next_change */
};

/* The members of a channel. */
struct push_members {
  uint64_t request;
  struct epoch epoch;
  uint64_t number; /* of the channel's last announcement; 0: unknown */
  uint64_t count;
  bool is_listed; /* false: there are too many */
  struct bytes changes;
};

/* Each returns false if the payload is malformed. */
bool push_read_message(struct bytes payload, struct epoch *epoch, struct push_message *message);
bool push_read_page(struct bytes payload, struct push_page *page);
bool push_read_bell(struct bytes payload, uint64_t *number, struct epoch *epoch, uint64_t *position);
bool push_is_presence(struct bytes payload);
bool push_read_presence(struct bytes payload, struct push_presence *presence);
bool push_read_members(struct bytes payload, struct push_members *members);
/* Takes the next message from page->messages. Returns 1, or 0 at the end, or MW_EFORGED. */
int push_next_message(struct push_page *page, struct push_message *message);

VISIBILITY_POP

#endif
