/* A node of a cluster: what it publishes, which channels it follows, and what it has delivered.
 * docs/decisions/0025-a-broker-orders.md has the states and the reasons.
 *
 * It runs over an abstract link, and has no clock of its own: broker_tick states the time. All
 * functions and callbacks run on one thread. Callbacks are called only from link events and from
 * broker_tick, never within another function. They may call the functions below. */
#ifndef MOONWIRE_BROKER_BROKER_H
#define MOONWIRE_BROKER_BROKER_H

#include "broker/control.h"
#include "broker/link.h"
#include "broker/members.h"
#include "hub/id.h"

VISIBILITY_PUSH

struct broker;

/* Of one record. Below RESP_REPLY_MAX, so that every node can read it; the scripts refuse more, too. */
enum { BROKER_RECORD_BYTES_MAX = 6 << 20 };

struct broker_options {
  struct bytes prefix; /* of all keys and channels in Redis */
  struct bytes node;   /* the name of this node: random, another one after each start */
  uint32_t publish_ms; /* how long a publish, a join, or a fetch waits */
  uint32_t linger_ms;  /* how long a channel without an interest is followed */
  uint32_t bell_ms;    /* between two heartbeats */
  uint32_t silence_ms; /* a connection that does not answer a heartbeat for this long is lost */
  uint32_t expiry_ms;  /* without a heartbeat for this long, the node counts as dead */
  uint32_t recover_ms; /* a node that was fenced waits this long for the others */
  uint32_t gather_ms;  /* between two calls that report to Redis who has joined and left one channel */
  uint32_t mark_ttl_s; /* how long the last position of a channel is known; more than an hour */
  size_t held_max;     /* bytes of messages that are held while channels are fetched again */
  size_t waiting_max;  /* publishes that wait */
  uint32_t replicas;   /* that must have a message before its publish is done */
};

/* How much is kept of a channel. */
struct broker_history {
  uint32_t size; /* messages; 0: none */
  uint64_t ttl_ms;
};

struct broker_message {
  struct bytes record;
  uint64_t position; /* 0: volatile */
  uint64_t before;   /* position of the channel's previous message, or one after which there was none */
};

/* Messages of a channel from its history: the newest ones, when this node begins to follow the channel,
 * or older ones. */
struct broker_page {
  struct bytes channel;
  const struct broker_message *messages; /* oldest first */
  size_t count;
  /* `messages` is everything that the channel has after `after` and up to `until`; UINT64_MAX: up to
   * now, and later messages will be delivered */
  uint64_t after, until;
  uint64_t gone;  /* messages up to it are kept nowhere */
  uint64_t ended; /* the position of the newest message, if it is final; or 0 */
};

/* The server, as the broker sees it. Every function is set, except `members` if no interest has a
 * roster. */
struct broker_sink {
  /* A message of a channel that this node follows. Positions increase over all channels. */
  void (*deliver)(void *context, struct bytes channel, const struct broker_message *message);
  /* Hands over a part of the history of a channel (struct broker_page). */
  void (*restore)(void *context, const struct broker_page *page);
  /* Messages of the channel up to the position were lost: its subscribers must receive a gap. */
  void (*gap)(void *context, struct bytes channel, uint64_t position);
  /* It is unknown what the subscribers of the channel have missed: they must be disconnected, so that
   * they resume. Until `restore`, the history of the channel must not be used. */
  void (*disconnect)(void *context, struct bytes channel);
  /* The channel is not followed any more: its history must not be used. */
  void (*forget)(void *context, struct bytes channel);
  /* Everything up to the position was delivered. Positions increase. */
  void (*reach)(void *context, uint64_t position);
  /* A new epoch begins after the position: nothing of the earlier one is valid, and every
   * subscriber must be disconnected. */
  void (*begin_epoch)(void *context, const struct epoch *epoch, uint64_t position);
  /* Who is in a channel, or has joined and left since. */
  void (*members)(void *context, const struct broker_members *members);
  /* A command of another node (broker/control.h). */
  void (*command)(void *context, struct bytes command);
  /* Commands of other nodes were dropped before this node could read them: every client of this node
   * must be disconnected. */
  void (*miss_commands)(void *context);
};

/* What is published. It is copied. */
struct broker_publish {
  struct bytes channel, record;
  struct bytes key; /* of idempotency; empty: none */
  struct broker_history history;
  bool is_final;
  /* 0: published, in that epoch at that position. MW_ECLOSED, MW_EBROKER_UNSURE: this is unknown.
   * MW_EBROKER_UNREPLICATED: published, but fewer than `replicas` have it. MW_EBROKER_LOST and the other
   * statuses of a broker: it was not published. Called once. */
  void (*on_done)(void *context, int status, const struct epoch *epoch, uint64_t position);
  void *context;
};

struct broker_interest {
  struct bytes channel;
  struct broker_history history;
  enum broker_roster roster; /* unless it is NONE, the members are also known before on_done */
};

enum broker_state { BROKER_CONNECTING, BROKER_FENCED, BROKER_JOINING, BROKER_UP };

/* Returns NULL if out of memory. Options are copied; link and sink are borrowed. The link must be
 * closed, and its events are set here. */
struct broker *broker_new(const struct broker_options *options, struct link *link, const struct broker_sink *sink, void *context,
                          uint64_t now_ms);
/* Tells Redis that this node stops, so that its members leave soon, instead of when it counts as dead.
 * To be called before broker_stop. Nothing is published or joined from then on. 0: on_done follows,
 * once; MW_EUNAVAILABLE: not connected; MW_ENOMEM. */
int broker_say_goodbye(struct broker *broker, void (*on_done)(void *context), void *context);
/* Ends everything that waits with MW_ECLOSED. Nothing is accepted from then on. */
void broker_stop(struct broker *broker);
/* The link must have no commands in progress. */
void broker_free(struct broker *broker);

/* To be called several times a second. */
void broker_tick(struct broker *broker, uint64_t now_ms);

/* 0: on_done follows. MW_EWAITING: too many wait. MW_ETOOLARGE: the record is above
 * BROKER_RECORD_BYTES_MAX. MW_ENOMEM, MW_ECLOSED. */
int broker_publish(struct broker *broker, const struct broker_publish *publish);
/* Publishes a message that has no position and may be lost. 0; MW_EBROKER_LOST or another
 * status of a broker: not connected, or refused; MW_ETOOLARGE, as above; MW_ENOMEM. */
int broker_publish_volatile(struct broker *broker, struct bytes channel, struct bytes record);
/* Declares an interest in each channel, until broker_end_interest. 0: all are followed, and their
 * histories known. MW_PENDING: on_done follows, once. MW_ENOMEM, MW_ECLOSED, and on_done with a negative
 * status: nothing was declared. */
int broker_interest(struct broker *broker, const struct broker_interest *channels, size_t count,
                    void (*on_done)(void *context, int status), void *context);
void broker_end_interest(struct broker *broker, struct bytes channel);
/* Waits until the node has delivered everything up to the position, or everything that was published
 * before the call. After that, a cursor above the node's position was never assigned, and the
 * node's epoch is the current one. Use UINT64_MAX for a cursor of another epoch, because that may be
 * newer than the node's. 0: it has. MW_PENDING: on_done follows, once. MW_ENOMEM, MW_ECLOSED. */
int broker_reach(struct broker *broker, uint64_t position, void (*on_done)(void *context, int status), void *context);

/* Asks for older messages of a channel that this node follows: the newest ones up to the position
 * `until`, at most 256 of them or 256 KiB. Four such pages are asked for at a time, in the order of the
 * calls. MW_PENDING: on_done follows, once; 0: what is kept was handed to sink->restore. A status of a
 * broker: the channel is not followed any more, or it took too long. MW_EWAITING: too many wait. MW_ENOMEM,
 * MW_ECLOSED. */
int broker_page(struct broker *broker, struct bytes channel, uint64_t until, void (*on_done)(void *context, int status),
                void *context);

/* Returns why Redis refuses every publish, such as MW_EBROKER_FULL; 0: it does not, as far as is known. A
 * heartbeat tries it. */
int broker_refusal(const struct broker *broker);
enum broker_state broker_state(const struct broker *broker);
uint64_t broker_position(const struct broker *broker);

VISIBILITY_POP

#endif
