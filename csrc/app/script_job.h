/* What a worker asks of the script for one client, and what comes back: it travels between the two by reference.
 *
 * To join channels takes several questions to the app (authenticate, authorize, open, join); an HTTP request takes one. A job has one owner at
 * a time: the asker until it is posted, the script until it is answered, and then the asker again. Two threads touch its reference count, and
 * `cancelled`. What is to be undone of it stays with the asker as memberships. */
#ifndef MOONWIRE_APP_SCRIPT_JOB_H
#define MOONWIRE_APP_SCRIPT_JOB_H

#include "app/client.h"
#include "app/config.h"
#include "app/http_copy.h"
#include "app/job_channel.h"
#include "app/membership.h"
#include "app/raw_data.h"
#include "app/send_key.h"
#include "base/buffer.h"
#include "base/list.h"
#include "hub/id.h"

VISIBILITY_PUSH

struct open_channel;
struct script;

/* A question to the app. One at a time for each job, one for each channel that opens or closes. */
struct mw_request {
  struct list link; /* in the server's list of those that wait for an answer, oldest first */
  enum mw_request_type type;
  struct script *script;                         /* NULL: the script has gone, and nobody wants the answer */
  struct script_job *job;                        /* or */
  struct leaving *leaving;                       /* for LEAVE, DISCONNECT and SOCKET_CLOSE, or */
  struct open_channel *open_channel;             /* for OPEN and CLOSE */
  void (*on_answer)(struct mw_request *request); /* it is answered. Its owner sets it */
  uint64_t asked_ms;
  bool waiting, cancelled;
  void *context; /* the app's */
};

/* What the script does for a client: one at a time, in the order in which they came. */
struct script_task {
  const struct script_task_class *class;
  struct mw_request *request; /* the question to the app that it has, if it has one */
  struct mw_client *client;   /* whose it is; NULL: nobody's */
  struct list link;           /* among those that wait for it, for a channel to open, for an answer, or to go on */
  struct list followers;      /* those that wait until it is done, while it is the client's first */
};

/* Undoes memberships, and tells the app that a raw WebSocket is over. Its owner is the job that it is in, or itself. */
struct leaving {
  struct script_task task;
  struct mw_request request;
  struct membership *memberships;     /* the first one is being undone */
  struct mw_socket *socket;           /* a reference; NULL: none */
  struct script_job *job;             /* a reference to the one that it is in; NULL: it is on its own */
  bool asked;                         /* the app was asked about the first membership, or the socket */
  bool running;                       /* inside the loop that takes its steps */
  char reason[MEMBERSHIP_REASON_MAX]; /* of DISCONNECT, terminated */
};

enum job_type {
  JOB_JOIN,    /* a client connects, or joins channels, or both */
  JOB_MESSAGE, /* a client sent an event */
  JOB_SLOW,    /* a client takes less than there is; nobody waits for the answer */
  JOB_HTTP,
  JOB_STREAM,
  JOB_SOCKET,        /* a raw WebSocket is asked for */
  JOB_SOCKET_MESSAGE /* it sent a message */
};

enum job_step {
  STEP_AUTHENTICATE,
  STEP_CONNECT,
  STEP_AUTHORIZE,
  STEP_OPEN,
  STEP_JOIN,
  STEP_PRESENCE,
  STEP_MESSAGE,
  STEP_SLOW,
  STEP_SOCKET,
  STEP_JOINED, /* all is done that was asked for */
  STEP_OVER    /* the worker has the answer */
};

struct script_job {
  atomic_uint refs;
  enum job_type type;
  /* Under way to the script when it is asked, back with its answer, and to it again when its raw stream is over. mail.to: the asker. */
  struct mail mail;
  struct mail cancel;                /* to the script, while `mail` may be under way */
  struct raw_data end;               /* from the script: the app ends its raw stream */
  const struct mail_class *answered; /* what becomes of the answer on the asker's worker */
  struct mw_config *config;
  struct mw_client *client;
  struct http_copy *http; /* NULL if no question needs it */
  int route;
  atomic_bool cancelled; /* the asker has gone or answers by itself */
  /* Joining. */
  bool envelope; /* as an event stream with one */
  struct since since;
  bool connects;                 /* the client connects by this job: CONNECT, and DISCONNECT at the end */
  struct membership *connection; /* to be undone by DISCONNECT, as job_channel.membership */
  bool transient;                /* the sender of a message is no subscriber: it is authorized for this one */
  bool relayed;                  /* the message goes to the others without entering the app */
  bool by_app;                   /* the app subscribed it, without asking itself whether it may; nothing waits for the answer */
  bool kept;                     /* its raw stream or raw WebSocket lasts */
  size_t channel_count;
  struct job_channel *channels; /* behind the struct */
  /* A message; the texts lie in `text`. */
  struct mw_message message;
  struct bytes idempotency_key; /* empty: none */
  struct send_key *send_key;    /* it is the first with that key, and its answer is awaited */
  struct blob *text;
  struct buffer input; /* of a raw WebSocket's message, in place of `text` */
  size_t input_size;   /* what that was at first */
  /* Of a raw WebSocket. */
  struct mw_socket *socket; /* a reference; NULL before the app has said yes */
  struct bytes protocol;    /* a text of the config, or empty */
  /* The script's. */
  struct script_task task;
  struct leaving leaving; /* undoes what was done before it was refused */
  struct mw_request request;
  enum job_step step;
  size_t at;    /* the channel of the step */
  bool running; /* inside the loop that takes its steps */
  /* The worker's: commands for the client that came meanwhile, and are about what it is only with the answer. */
  struct mail *held, *held_last; /* in the order in which it came */
  size_t held_size;
  /* The answer. status 0 while there is none; 200 is yes. */
  int status;
  const char *code, *reason; /* of a refusal: terminated, texts of `refusal` or of the program; else empty */
  struct blob *refusal;
  const struct job_channel *refused; /* the channel that the refusal is about; NULL: it is about the client */
  struct blob *fields, *body;        /* of an HTTP response; body: of an acknowledgement, too */
  struct mw_stream *stream;          /* borrowed: the app's handle, which refers to this job; NULL when the app let go */
  void (*on_stream_end)(struct mw_stream *stream);
};

/* One reference; keeps config and client (NULL allowed), takes http (NULL allowed), copies the channels and their names, and, with JOB_JOIN and a
 * client, makes the memberships of channels that may need one. NULL if out of memory: then nothing was taken. */
struct script_job *job_new(enum job_type type, struct mw_config *config, struct mw_client *client, struct http_copy *http,
                           const struct job_channel *channels, size_t channel_count);
/* Mail that is about what the client is only with the answer waits for that: takes it. */
void job_hold(struct script_job *job, struct mail *mail);
/* Takes the first of that mail out, after the answer; NULL: there is none. */
struct mail *job_take_held(struct script_job *job);
/* The raw stream that the app has begun with its answer is over. Called on the thread of the script. */
void job_end_stream(struct script_job *job);
/* Nobody will see the answer: releases the job. A raw stream that the app has begun is over. */
void job_drop(struct script_job *job);
/* The job is answered, and nobody does anything about that. */
extern const struct mail_class job_unheard;
struct script_job *job_ref(struct script_job *job);
void job_unref(struct script_job *job); /* NULL is allowed */
/* What it carries of the client's, in bytes. */
size_t job_size(const struct script_job *job);
/* True if the app must be asked before it can join. */
bool job_needs_script(const struct script_job *job);
/* The client connects by this job. False: out of memory. */
bool job_connect(struct script_job *job);
/* Takes the memberships that are to be undone out of the job: a list, in the order of the channels, the connection last. */
struct membership *job_take_memberships(struct script_job *job);
/* Copies the message of a verb; 0 or MW_ENOMEM. */
struct verb;
int job_set_message(struct script_job *job, const struct verb *verb);
/* A message with an idempotency key: finds out whether it is the first with that key, waits for the answer of the first, or has been given it. */
enum send_key_turn job_enter_key(struct script_job *job, struct send_keys *keys, uint64_t now_ms);
/* The job is answered: keeps that for its key, unless a repeated send may do better, and lets those that waited go on. */
void job_settle_key(struct script_job *job, struct send_keys *keys, uint64_t now_ms, struct list *ready);
/* Sets a refusal. Copies at most 64 bytes of the code and 255 of the reason. If out of memory, the refusal says that. */
void job_refuse(struct script_job *job, int status, const char *code, const char *reason);

VISIBILITY_POP

#endif
