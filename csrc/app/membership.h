/* What must be undone when a client leaves a channel, or disconnects.
 *
 * One thread at a time owns it. The worker that asks makes it with the job, the script notes in it
 * what it has done, and the worker keeps it until the client leaves. Then it travels to the script
 * as mail of its own, so that leaving does not need memory. */
#ifndef MOONWIRE_APP_MEMBERSHIP_H
#define MOONWIRE_APP_MEMBERSHIP_H

#include "app/config.h"
#include "base/blob.h"
#include "base/mail.h"

VISIBILITY_PUSH

struct mw_client;

enum membership_undo {
  MEMBERSHIP_OPENED = 1 << 0,   /* it counts among those for whom the channel is open */
  MEMBERSHIP_JOINED = 1 << 1,   /* the app is notified of its leave */
  MEMBERSHIP_CONNECTED = 1 << 2 /* the app is notified of its disconnect; without a channel */
};

/* The reason of a leave or a disconnect. */
enum departure {
  DEPARTURE_NONE,     /* unknown */
  DEPARTURE_CLOSED,   /* the peer has closed; a WebSocket with a code */
  DEPARTURE_RESET,    /* the connection failed */
  DEPARTURE_PROTOCOL, /* a protocol error of the peer: closed with a code */
  DEPARTURE_TIMEOUT,  /* the peer did not answer, read, poll, or complete a message in time */
  DEPARTURE_SLOW,
  DEPARTURE_STOPPING,
  DEPARTURE_BY_APP,  /* the app has closed it, with a code */
  DEPARTURE_FAILED,  /* out of memory */
  DEPARTURE_EXPIRED, /* its token has expired */
  DEPARTURE_KICKED   /* the app has ended this subscription */
};

struct membership {
  struct mail mail;
  struct membership *next; /* of the same client, or of the same list of leaves */
  struct mw_config *config;
  const struct kind *kind; /* of config; NULL: without a channel */
  struct mw_client *client;
  struct blob *member; /* the key of the user as a member; NULL: not counted as one */
  uint8_t undo;        /* enum membership_undo */
  uint8_t departure;   /* enum departure */
  uint8_t name_len;
  uint16_t close_code; /* of WebSocket, with the departures that have one; 0: none */
  char name[];
};

/* Returns a membership without anything to undo, or NULL if out of memory. Keeps config and
 * client. */
struct membership *membership_new(struct mw_config *config, struct mw_client *client, const struct kind *kind, struct bytes name);
void membership_free(struct membership *membership); /* NULL is allowed */
/* Returns true if there is something to undo. */
static inline bool membership_is_held(const struct membership *membership) {
  return membership && (membership->undo != 0 || membership->member);
}
static inline struct bytes membership_name(const struct membership *membership) {
  return bytes_of(membership->name, membership->name_len);
}
/* Returns true if the app has closed or kicked the client, which is not expected to reconnect. */
bool membership_is_final(const struct membership *membership);
enum { MEMBERSHIP_REASON_MAX = 24 };
/* Writes the reason of the disconnect for the app, terminated: "closed 1001", "reset", "protocol
 * 1002", "timeout", "slow", "stopping", "app 4000". */
void membership_reason(const struct membership *membership, char reason[MEMBERSHIP_REASON_MAX]);

VISIBILITY_POP

#endif
