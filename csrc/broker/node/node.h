/* What the files of the state machine share. Nothing else includes it. */
#ifndef MOONWIRE_BROKER_NODE_NODE_H
#define MOONWIRE_BROKER_NODE_NODE_H

#include "base/buffer.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/table.h"
#include "broker/broker.h"
#include "broker/push.h"
#include "broker/scripts.h"

VISIBILITY_PUSH

enum {
  NODE_CHANNEL_MAX = 128,
  RUN_MAX = 64,           /* bytes of a run id; Redis has 40 */
  PUBLISHES_MAX = 1024,   /* on the way; the script `publish` remembers so many */
  PAGE_REQUESTS_MAX = 4,  /* on the way */
  PAGE_CHANNELS_MAX = 32, /* of one request */
  PAGE_MESSAGES_MAX = 256,
  OLDER_PAGES_MAX = 4, /* on the way */
  OLDER_WAITING_MAX = 10000,
  PAGE_BYTES_MAX = 256 << 10,
  SUBSCRIBE_MAX = 1000,    /* channels of one SUBSCRIBE */
  ROSTER_REQUESTS_MAX = 8, /* on the way */
  ROSTER_MEMBERS_MAX = 100000,
  ROSTER_BYTES_MAX = 6 << 20, /* of one list of members; below RESP_REPLY_MAX */
  CALLS_MAX = 32,             /* of `presence`, on the way */
  CALL_CHANGES_MAX = 256,     /* of one call */
  CALL_BYTES_MAX = 64 << 10,
  RETRY_MS = 1000 /* after a script has failed */
};

/* The run id of the process at the other end. */
struct run {
  size_t len; /* 0: none */
  char text[RUN_MAX];
};

enum channel_state { CHANNEL_SUBSCRIBING, CHANNEL_FETCHING, CHANNEL_LIVE, CHANNEL_LEAVING };

/* A channel that this node follows, or is about to. Without a record, it is ABSENT. */
struct channel_link {
  struct list link; /* in one list of its state */
  enum channel_state state;
  /* It was LIVE, and has subscribers: they have everything up to `known`, and must receive the rest, or
   * a gap. Otherwise it is new, and only its history is needed. */
  bool is_rejoining;
  bool has_page;    /* it rejoins, and everything is held that it lacks */
  bool is_asked;    /* SUBSCRIBE was sent, on this connection */
  bool is_followed; /* it is subscribed to, on this connection */
                    /* it is new, and has subscribers, who miss what comes before its page */
  struct broker_history history;
  uint64_t known;   /* all messages up to it were delivered */
  uint64_t fetched; /* it rejoins, and everything up to it is held */
  uint64_t request; /* number of the page that is asked for; 0: none */
  size_t users;     /* interests */
  enum broker_roster roster;
  bool has_roster;         /* its members were known since it is followed */
  uint64_t roster_number;  /* of the last announcement that is known */
  uint64_t roster_request; /* 0: none is on the way */
  struct list in_rosters;  /* in one of broker->rosters, while its members are to be read */
  uint64_t due_ms;         /* LEAVING: when it is left */
  struct list waits;
  struct bytes name;
  char text[];
};

/* Interests in channels that are to be LIVE; or a position that is to be reached. */
struct wait;
struct wait_entry {
  struct list link; /* in the channel's */
  struct wait *wait;
  struct channel_link *channel; /* has an interest for this */
};

struct wait {
  struct list link; /* in broker->waits, by deadline; or in broker->ended_waits */
  uint64_t due_ms;
  uint64_t position; /* to be reached; or */
  uint64_t bell;     /* the number of a bell that is to be heard */
  int status;        /* when it has ended */
  size_t left;       /* channels that are not LIVE */
  void (*on_done)(void *context, int status);
  void *context;
  size_t count;
  struct wait_entry entries[];
};

/* A page script that is on the way, or whose pages are. */
struct page_request {
  struct link_command command;
  struct list link;
  struct broker *broker; /* NULL: what it asked for is of no use any more */
  uint64_t first;        /* number of its first page */
  uint32_t count, left;  /* pages; those that have not come */
  bool is_answered;
  struct channel_link *channels[PAGE_CHANNELS_MAX]; /* NULL: the page has come */
};

/* While channels rejoin, what arrives is held in order of arrival, and then delivered by position
 * (broker/node/held.c). */
struct held;
struct held_items {
  struct held **items;
  uint32_t count, capacity;
  size_t bytes;
};

struct publishing {
  struct list waiting;      /* never sent */
  struct list again;        /* refused, or without an answer: sent before those that wait, in this order */
  struct list sent;         /* on the way */
  struct list unreplicated; /* have a position, and too few replicas are known to have them */
  struct list ordered;      /* have a position, which the node has not reached */
  struct list done;         /* on_done is to be called */
  struct list expiry;       /* all of the above except `done`, by deadline */
  size_t count;
  uint64_t seq; /* of the latest that was sent */
  struct link_command wait;
  bool wait_is_sent;
  uint64_t wait_due_ms; /* not before */
  bool lacks_replicas;  /* the log says so */
};

/* The members of channels that this node follows (broker/members/roster.c). */
struct rosters {
  struct list to_read, reading;
  size_t reading_count;
  uint64_t request; /* number of the latest */
  uint64_t pause_until_ms;
};

/* The members of this node (broker/members/members.c). */
struct own_members {
  struct table channels; /* struct own_channel, by name */
  struct list all;
  struct list ready, cooling; /* channels with changes to be sent: now, and when it is time for the first */
  struct list joins;          /* those that wait, by deadline */
  struct list ended_joins;    /* on_done is to be called */
  size_t join_count, call_count;
  uint64_t owner;    /* number of the owner for which they are counted */
  bool is_used;      /* something was counted for it */
  uint64_t buried;   /* owners up to it are left to the reaper */
  size_t recounting; /* members that are still counted for an earlier owner only */
  uint64_t pause_until_ms;
  struct link_command bury;
  uint64_t burying; /* up to which owner, by the command on the way; 0: none is */
};

/* Commands to all nodes, and leases (broker/node/control.c). */
struct control {
  struct list waiting, sent, expiry, ended;
  size_t count, bytes; /* of all */
  size_t sent_count;   /* is_sent */
  uint64_t seq;
  uint64_t position; /* commands of other nodes were read up to it; 0: the node has not begun */
  struct link_command read;
  bool is_reading, must_read, is_subscribed;
  uint64_t read_due_ms; /* not before, after Redis has refused */
};

struct node_end {
  bool is_open;
  struct run run;
};

struct broker {
  struct broker_options options;
  struct list leases; /* broker/node/leases.h */
  size_t lease_count;
  struct buffer texts; /* those of the options */
  struct link *link;
  const struct broker_sink *sink;
  void *context;
  uint64_t now_ms;
  bool is_stopped;

  struct node_end ends[2]; /* by enum link_end */
  bool is_welcome;         /* `hello` was answered with OK, and nothing since then says otherwise */
  struct epoch epoch;      /* of all that is known here */
  uint64_t epoch_ordinal;  /* of that epoch, by the count of Redis */
  struct run run;          /* with which it was known to be whole; none: nothing is known */
  uint64_t position;       /* reached */
  uint64_t seen;           /* the highest position of a message */
  uint64_t generation;
  char own[NODE_CHANNEL_MAX]; /* this node's channel for pages and bells */
  char all[NODE_CHANNEL_MAX]; /* that of all nodes for commands */
  size_t own_len, all_len;
  bool own_is_subscribed, own_is_asked;
  int refusal; /* why Redis refuses every publish; 0: it does not, as far as is known */

  struct link_command hello, bell;
  bool hello_is_sent, bell_is_sent, doubts;
  uint64_t hello_due_ms, bell_due_ms;
  /* numbers of the latest bell that was rung, that has arrived, and for which somebody waits */
  uint64_t bell_number, bell_heard, bell_wanted;
  uint64_t answer_due_ms; /* for hello or bell; 0: none is on the way */
  uint64_t push_due_ms;   /* for the bell itself, or the first confirmation; 0: none */

  struct table channels;
  /* channels by state; those that rejoin come first, and the others wait until they have */
  struct list to_rejoin, to_subscribe, subscribing, to_fetch, fetching, live, leaving;
  bool is_holding;      /* channels rejoin: what arrives is held */
  size_t lacking_count; /* those that rejoin and have no page */
  uint64_t request;     /* number of the latest page that was asked for */
  struct list requests;
  struct list older_waiting, older_sent; /* pages of older messages (broker/node/older.c) */
  size_t older_count;                    /* of both */
  struct held_items held;

  /* Called at the end of each event: goes on, and calls on_done of what has ended. */
  void (*on_event_end)(struct broker *broker);
  struct list waits, reaching, ended_waits;
  struct publishing publishing;
  struct rosters rosters;
  struct own_members members;
  struct control control;

  struct link_command reap, goodbye;
  bool reap_is_sent;
  uint64_t dead_count; /* owners that are to be reaped */
  bool is_leaving;
  void (*on_goodbye)(void *context);
  void *goodbye_context;
};

/* ---- broker/node.c: what every part needs ----------------------------------------------------- */

/* Appends a key, or the channel of a channel, to the buffer, and returns where it begins. */
size_t node_key(const struct broker *broker, struct buffer *out, const char *kind, struct bytes name);
/* Returns true if channels may be joined, and messages published. */
bool node_is_up(const struct broker *broker);
/* Both connections are open, and lead to one process. */
bool node_is_connected(const struct broker *broker);
/* A script was refused: the node must say hello. */
void node_fence(struct broker *broker);
/* The node was removed, because it was silent: it registers again. */
void node_renew(struct broker *broker);
/* Something of another epoch has arrived: the node asks, and goes on until it knows. */
void node_doubt(struct broker *broker);
/* A message with that position exists. */
void node_see(struct broker *broker, uint64_t position);
/* Everything up to the position was delivered. */
void node_reach(struct broker *broker, uint64_t position);
/* Returns the status of what waits in vain: why Redis refuses, or that it does not answer. */
int node_outage(const struct broker *broker);
/* Handles what is common to all scripts. */
enum answer {
  ANSWER_OK,
  ANSWER_REFUSED, /* it was not carried out, and is to be sent again when the node is welcome */
  ANSWER_FAILED,  /* it was not carried out */
  ANSWER_LOST     /* unknown: the connection was lost */
};
enum answer node_answer(struct broker *broker, const struct resp_value *reply);
/* The script has published to this node, and its reply states after OK how many received that. If
 * nobody did, pub/sub is opened again. */
bool node_is_heard(struct broker *broker, const struct resp_value *reply);
/* Does the same as node_answer for such a script. ANSWER_REFUSED: nobody received it. */
enum answer node_answer_heard(struct broker *broker, const struct resp_value *reply);

static inline struct bytes run_bytes(const struct run *run) { return bytes_of(run->text, run->len); }
static inline bool run_equal(const struct run *a, const struct run *b) { return bytes_equal(run_bytes(a), run_bytes(b)); }

/* Makes a wait, which is in no list. NULL: out of memory. */
struct wait *wait_new(struct broker *broker, size_t count, void (*on_done)(void *context, int status), void *context);
/* Ends a wait: on_done is called in waits_settle. */
void wait_end(struct broker *broker, struct wait *wait, int status);
/* Returns true if it is LIVE, and its members are known if they must be. */
bool channel_is_ready(const struct channel_link *channel);
/* The channel may be ready now. */
void waits_follow(struct broker *broker, struct channel_link *channel);

/* ---- broker/node/bell.c ------------------------------------------------------------------------- */

void bell_init(struct broker *broker);
/* Rings the bell, and removes members of dead nodes, if it is time. */
void bell_step(struct broker *broker);

/* ---- broker/members/roster.c ----------------------------------------------------------------------- */

void rosters_init(struct rosters *rosters);
/* Its members must be read, if it has a roster and is subscribed to. */
void roster_need(struct broker *broker, struct channel_link *channel);
void roster_forget(struct broker *broker, struct channel_link *channel);
void rosters_step(struct broker *broker);
void rosters_on_members(struct broker *broker, struct bytes payload);
void rosters_on_presence(struct broker *broker, struct channel_link *channel, struct bytes payload);

/* ---- broker/members/members.c ---------------------------------------------------------------------- */

void members_init(struct broker *broker);
void members_deinit(struct broker *broker);
/* It is not known what Redis counts for this node: everything is counted again. */
void members_recount(struct broker *broker);
void members_step(struct broker *broker);
void members_expire(struct broker *broker);
void members_settle(struct broker *broker);
void members_stop(struct broker *broker);

/* ---- broker/node/control.c ---------------------------------------------------------------------- */

void control_init(struct broker *broker);
/* The node begins: earlier commands are not for it. */
void control_begin(struct broker *broker, uint64_t position);
/* Redis does not know any more which commands of this node it has. */
void control_give_up(struct broker *broker);
void control_step(struct broker *broker);
void control_expire(struct broker *broker);
void control_settle(struct broker *broker);
void control_stop(struct broker *broker);

/* ---- broker/node/waits.c --------------------------------------------------------------------------- */

/* Ends waits that are over their time, or all. */
void waits_expire(struct broker *broker, bool all, int status);
void waits_settle(struct broker *broker);

/* ---- broker/node/channels.c ------------------------------------------------------------------------ */

void channels_init(struct broker *broker);
void channels_deinit(struct broker *broker);
static inline struct channel_link *channels_find(const struct broker *broker, struct bytes name) {
  return table_get(&broker->channels, name);
}
struct channel_link *channels_find_or_make(struct broker *broker, const struct broker_interest *interest);
/* Counts an interest, and ends one. */
void channel_add_user(struct broker *broker, struct channel_link *channel);
void channel_drop_user(struct broker *broker, struct channel_link *channel);
/* It has everything up to the position. */
void channel_go_live(struct broker *broker, struct channel_link *channel, uint64_t known);
void channel_fetch(struct broker *broker, struct channel_link *channel);
/* Pub/sub was lost: every channel must be subscribed to again. */
void channels_on_deaf(struct broker *broker);
/* A new epoch: nothing that is known of any channel is valid. */
void channels_forget_history(struct broker *broker);
/* What was held is too much: the subscribers of all channels that rejoin are disconnected. */
void channels_give_up(struct broker *broker);
/* Asks for whatever the channels lack. */
void channels_step(struct broker *broker);
void channels_on_subscribed(struct broker *broker, struct bytes name);
void channels_on_message(struct broker *broker, struct bytes name, struct bytes payload);
void channels_expire(struct broker *broker);

/* ---- broker/node/pages.c --------------------------------------------------------------------------- */

/* Asks for the pages of channels in `to_fetch`. */
void pages_step(struct broker *broker);
/* Pages that are on the way will not come, or are of no use. */
void pages_drop_requests(struct broker *broker);
void pages_on_page(struct broker *broker, struct bytes payload);

/* ---- broker/node/page_script.c --------------------------------------------------------------------- */

/* What is asked of one channel: messages after `since`, or the newest up to `until` (0: of all). */
struct page_ask {
  struct bytes channel;
  uint64_t number;
  bool is_after;
  uint64_t position;
  uint32_t size; /* messages at most */
};
/* Runs the script for up to PAGE_CHANNELS_MAX channels. Returns as link->class->run. */
int page_run(struct broker *broker, const struct page_ask *asks, size_t count, struct link_command *command);
/* Reads the messages of a page, newest first, to the end of the array, as far as none between them is
 * missing. The newest must have the position `expected`; 0: any. Returns how many. */
size_t page_read(struct push_page *page, struct broker_message messages[PAGE_MESSAGES_MAX], uint64_t expected);

/* ---- broker/node/older.c --------------------------------------------------------------------------- */

/* Asks for the pages whose turn it is. */
void older_step(struct broker *broker);
/* Takes a page that was asked for. Returns false if it was not. */
bool older_on_page(struct broker *broker, struct push_page *page);
/* Pub/sub was lost: pages that are on the way will not come, and are asked for again. */
void older_on_deaf(struct broker *broker);
/* Ends those that are over their time, or all. */
void older_expire(struct broker *broker, bool all, int status);

/* ---- broker/node/held.c ---------------------------------------------------------------------------- */

void held_clear(struct broker *broker);
/* Holds a message; a page, as the end of what rejoins, has no message. */
void held_message(struct broker *broker, struct channel_link *channel, const struct push_message *message);
void held_page(struct broker *broker, struct channel_link *channel, const struct push_page *page, bool has_messages);
/* Every channel has its page: delivers what was held, by position. */
void held_release(struct broker *broker);

/* ---- broker/node/refusal.c ------------------------------------------------------------------------- */

/* Returns the status of an error of Redis, and whether the connection is of no use. */
int refusal_read(struct bytes error, bool *is_lost);
/* The same for the answer to a script, which is logged: once, if every publish is refused. */
int refusal_note(struct broker *broker, struct bytes error, bool *is_lost);
/* A script that writes was carried out. */
void refusal_end(struct broker *broker);
/* An attempt to connect has failed, which the link has logged. */
void refusal_note_attempt(struct broker *broker, struct bytes error);

/* ---- broker/node/publishing.c ---------------------------------------------------------------------- */

void publishing_init(struct publishing *publishing);
void publishing_step(struct broker *broker);
/* Redis does not know any more what this node has published: what has no answer is given up. */
void publishing_give_up(struct broker *broker);
/* A new epoch: no position of the earlier one will be reached. */
void publishing_complete_all(struct broker *broker);
void publishing_expire(struct broker *broker);
void publishing_settle(struct broker *broker);
void publishing_stop(struct broker *broker);

VISIBILITY_POP

#endif
