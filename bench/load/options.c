#include "load/options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char help[] =
    "usage: load --port PORT (--ws|--sse|--poll) PATH (--publish-ws|--publish-post) PATH --phase PHASE …\n"
    "\n"
    "Opens subscribers, publishes, checks that each subscriber receives every message once, in order, and\n"
    "unchanged, and prints what it measured as one line of JSON. See bench/README.md.\n"
    "\n"
    "In texts and paths, {c} is the number of the channel, {p} the payload, {cursor} that of a poll.\n"
    "\n"
    "  --host ADDRESS            IPv4; default 127.0.0.1\n"
    "  --port PORT\n"
    "  --ws PATH                 subscribers are WebSockets\n"
    "  --sse PATH                subscribers are event streams\n"
    "  --poll PATH               subscribers poll, and begin with an empty cursor\n"
    "                            with several of these, each channel has subscribers of each kind in turn\n"
    "  --cursor NAME             the member of a poll's answer that is the next cursor; default \"id\"\n"
    "  --subscribers COUNT       default 100\n"
    "  --channels COUNT          subscriber i is in channel i % COUNT; default 1\n"
    "  --header FIELD            \"Name: value\", for subscribers\n"
    "  --send TEXT               what a WebSocket sends first; repeat it for more\n"
    "  --expect TEXT             the answer to the last --send has this text, and is awaited\n"
    "  --publish-ws PATH         publish over a WebSocket, one message per frame\n"
    "  --publish-post PATH       publish by POST, over one connection\n"
    "  --publish-header, --publish-send, --publish-expect    the same for the publisher\n"
    "  --message TEXT            what is published; default \"{p}\"\n"
    "  --pid PID                 a process of the server, for its CPU time and memory; repeat it for more\n"
    "  --phase PHASE             repeat it for more; a list of:\n"
    "       window=COUNT           closed loop: so many messages in flight\n"
    "       rate=COUNT             or so many messages a second\n"
    "       seconds=S warmup=S     default 1 and 0\n"
    "       size=BYTES             of a payload; default 128, at least 48\n"
    "       batch=COUNT            messages of one POST, as a JSON array; default 1\n"
    "       depth=COUNT            POSTs without an answer, at most; default 64\n"
    "     for example window=16,seconds=2,size=1024\n"
    "  --settle S                wait before memory is measured; default 0.3\n"
    "  --stall S                 give up when nothing arrives for so long; default 5\n"
    "  --connect-timeout S       give up if not all subscribers are subscribed; default 60\n"
    "  --strict                  exit with status 3 if any fault was found\n"
    "\n"
    "Exit status: 0 measured, 1 wrong usage, 2 could not measure, 3 faults with --strict.\n";

enum {
  OPTION_HOST = 256,
  OPTION_PORT,
  OPTION_WS,
  OPTION_SSE,
  OPTION_POLL,
  OPTION_CURSOR,
  OPTION_SUBSCRIBERS,
  OPTION_CHANNELS,
  OPTION_HEADER,
  OPTION_SEND,
  OPTION_EXPECT,
  OPTION_PUBLISH_WS,
  OPTION_PUBLISH_POST,
  OPTION_PUBLISH_HEADER,
  OPTION_PUBLISH_SEND,
  OPTION_PUBLISH_EXPECT,
  OPTION_MESSAGE,
  OPTION_PID,
  OPTION_PHASE,
  OPTION_SETTLE,
  OPTION_STALL,
  OPTION_CONNECT_TIMEOUT,
  OPTION_STRICT,
  OPTION_HELP,
};

static const struct option names[] = {
    {"host", required_argument, NULL, OPTION_HOST},
    {"port", required_argument, NULL, OPTION_PORT},
    {"ws", required_argument, NULL, OPTION_WS},
    {"sse", required_argument, NULL, OPTION_SSE},
    {"poll", required_argument, NULL, OPTION_POLL},
    {"cursor", required_argument, NULL, OPTION_CURSOR},
    {"subscribers", required_argument, NULL, OPTION_SUBSCRIBERS},
    {"channels", required_argument, NULL, OPTION_CHANNELS},
    {"header", required_argument, NULL, OPTION_HEADER},
    {"send", required_argument, NULL, OPTION_SEND},
    {"expect", required_argument, NULL, OPTION_EXPECT},
    {"publish-ws", required_argument, NULL, OPTION_PUBLISH_WS},
    {"publish-post", required_argument, NULL, OPTION_PUBLISH_POST},
    {"publish-header", required_argument, NULL, OPTION_PUBLISH_HEADER},
    {"publish-send", required_argument, NULL, OPTION_PUBLISH_SEND},
    {"publish-expect", required_argument, NULL, OPTION_PUBLISH_EXPECT},
    {"message", required_argument, NULL, OPTION_MESSAGE},
    {"pid", required_argument, NULL, OPTION_PID},
    {"phase", required_argument, NULL, OPTION_PHASE},
    {"settle", required_argument, NULL, OPTION_SETTLE},
    {"stall", required_argument, NULL, OPTION_STALL},
    {"connect-timeout", required_argument, NULL, OPTION_CONNECT_TIMEOUT},
    {"strict", no_argument, NULL, OPTION_STRICT},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static void usage(const char *what, const char *value) __attribute__((noreturn));

static _Noreturn void usage(const char *what, const char *value) {
  fprintf(stderr, "load: %s '%s'; load --help lists the options\n", what, value);
  exit(1);
}

static double read_number(const char *text, double min, double max, const char *name) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end != '\0' || !(value >= min && value <= max)) {
    fprintf(stderr, "load: %s is '%s', and must be a number from %g to %g\n", name, text, min, max);
    exit(1);
  }
  return value;
}

static uint32_t read_count(const char *text, double min, double max, const char *name) {
  return (uint32_t)read_number(text, min, max, name);
}

/* ---- Phases ---------------------------------------------------------------------------------- */

static void read_part(struct phase *phase, const char *name, const char *value) {
  if (strcmp(name, "window") == 0)
    phase->window = read_count(value, 1, IN_FLIGHT_MAX / 2, name);
  else if (strcmp(name, "rate") == 0)
    phase->rate = read_number(value, 0.1, 1e6, name);
  else if (strcmp(name, "seconds") == 0)
    phase->seconds = read_number(value, 0.01, 3600, name);
  else if (strcmp(name, "warmup") == 0)
    phase->warmup = read_number(value, 0, 3600, name);
  else if (strcmp(name, "size") == 0)
    phase->size = read_count(value, MARK_SIZE_MIN, MARK_SIZE_MAX, name);
  else if (strcmp(name, "batch") == 0)
    phase->batch = read_count(value, 1, BATCH_MAX, name);
  else if (strcmp(name, "depth") == 0)
    phase->depth = read_count(value, 1, 1e6, name);
  else
    usage("a phase has no part", name);
}

static void read_phase(struct options *options, char *text) {
  if (options->phase_count == PHASES_MAX) usage("too many phases at", text);
  struct phase *phase = &options->phases[options->phase_count++];
  *phase = (struct phase){.seconds = 1, .size = 128, .batch = 1, .depth = 64};
  for (char *part = strtok(text, ","); part; part = strtok(NULL, ",")) {
    char *value = strchr(part, '=');
    if (!value) usage("a part of a phase has no value:", part);
    *value++ = '\0';
    read_part(phase, part, value);
  }
  if ((phase->window > 0) == (phase->rate > 0)) usage("a phase has either a window or a rate:", text);
  if (phase->window > 0 && phase->batch > phase->window) usage("the batch is larger than the window:", text);
}

/* ---- The rest -------------------------------------------------------------------------------- */

static void add_field(struct target *target, const char *field) {
  buffer_append_string(&target->fields, field);
  buffer_append_string(&target->fields, "\r\n");
}

static void add_greeting(struct greetings *greetings, const char *text) {
  if (greetings->count == GREETINGS_MAX) usage("too many texts to send at", text);
  greetings->send[greetings->count++] = text;
}

static void add_expected(struct greetings *greetings, const char *text) {
  if (greetings->count == 0) usage("nothing is sent before the expected", text);
  greetings->expect[greetings->count - 1] = text;
}

static void add_pid(struct options *options, const char *text) {
  if (options->pid_count == PROCESSES_MAX) usage("too many processes at", text);
  options->pids[options->pid_count++] = (int)read_count(text, 1, INT32_MAX, "--pid");
}

static void set_address(struct options *options, const char *text) {
  struct in_addr address;
  if (inet_pton(AF_INET, text, &address) != 1) usage("not an IPv4 address:", text);
  options->subscribe.address = address.s_addr;
}

static void set_publish(struct options *options, bool is_post, const char *path) {
  options->is_post = is_post;
  options->publish.path = path;
}

static void read_option(struct options *options, int option, char *value) {
  switch (option) {
    case OPTION_HOST: set_address(options, value); break;
    case OPTION_PORT: options->subscribe.port = (uint16_t)read_count(value, 1, 65535, "--port"); break;
    case OPTION_WS: options->paths[TRANSPORT_WS] = value; break;
    case OPTION_SSE: options->paths[TRANSPORT_SSE] = value; break;
    case OPTION_POLL: options->paths[TRANSPORT_POLL] = value; break;
    case OPTION_CURSOR: options->cursor = value; break;
    case OPTION_SUBSCRIBERS: options->subscribers = read_count(value, 1, 1e6, "--subscribers"); break;
    case OPTION_CHANNELS: options->channels = read_count(value, 1, 1e6, "--channels"); break;
    case OPTION_HEADER: add_field(&options->subscribe, value); break;
    case OPTION_SEND: add_greeting(&options->subscribe_greetings, value); break;
    case OPTION_EXPECT: add_expected(&options->subscribe_greetings, value); break;
    case OPTION_PUBLISH_WS: set_publish(options, false, value); break;
    case OPTION_PUBLISH_POST: set_publish(options, true, value); break;
    case OPTION_PUBLISH_HEADER: add_field(&options->publish, value); break;
    case OPTION_PUBLISH_SEND: add_greeting(&options->publish_greetings, value); break;
    case OPTION_PUBLISH_EXPECT: add_expected(&options->publish_greetings, value); break;
    case OPTION_MESSAGE: options->message = value; break;
    case OPTION_PID: add_pid(options, value); break;
    case OPTION_PHASE: read_phase(options, value); break;
    case OPTION_SETTLE: options->settle = read_number(value, 0, 600, "--settle"); break;
    case OPTION_STALL: options->stall = read_number(value, 0.01, 600, "--stall"); break;
    case OPTION_CONNECT_TIMEOUT: options->connect_timeout = read_number(value, 0.1, 600, "--connect-timeout"); break;
    case OPTION_STRICT: options->is_strict = true; break;
    case OPTION_HELP: fputs(help, stdout); exit(0);
    default: exit(1); /* getopt_long has said why */
  }
}

static void options_check(const struct options *options) {
  if (!options->subscribe.port) usage("missing", "--port");
  if (!options->paths[TRANSPORT_WS] && !options->paths[TRANSPORT_SSE] && !options->paths[TRANSPORT_POLL])
    usage("missing", "--ws, --sse, or --poll");
  if (!options->publish.path) usage("missing", "--publish-ws or --publish-post");
  if (options->phase_count == 0) usage("missing", "--phase");
  if (options->channels > options->subscribers) usage("more channels than subscribers:", "--channels");
  for (size_t i = 0; i < options->phase_count; i++)
    if (options->channels > 1 && options->phases[i].batch > 1 && options->is_post && strstr(options->publish.path, "{c}"))
      usage("the messages of a batch have different channels; the path cannot have", "{c}");
}

void options_read(struct options *options, int argc, char **argv) {
  *options = (struct options){
      .subscribers = 100, .channels = 1, .message = "{p}", .cursor = "id", .settle = 0.3, .stall = 5, .connect_timeout = 60};
  set_address(options, "127.0.0.1");
  int option;
  while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) read_option(options, option, optarg);
  if (optind < argc) usage("unexpected", argv[optind]);
  options_check(options);
  options->publish.address = options->subscribe.address;
  options->publish.port = options->subscribe.port;
}

void options_deinit(struct options *options) {
  buffer_deinit(&options->subscribe.fields);
  buffer_deinit(&options->publish.fields);
}
