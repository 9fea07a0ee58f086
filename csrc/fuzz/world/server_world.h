/* A whole server over connections in memory, with one worker or several. Bytes become requests and
 * verbs of peers of all kinds, answers of the app (immediate, later, refused, failed), actions of
 * the app itself, publishes, time, turns, and failing allocations. Whenever nothing is in progress,
 * the requests of the app, the subscriptions, and presence must agree. Each peer checks what it
 * receives (fuzz/world/server_peer.h). When the server is freed, nothing is left, and all counters are
 * zero.
 *
 * Several workers share a loop, and a generator of random numbers decides whose turn is next, and
 * which worker accepts a connection. So a run depends on nothing but the input: one that fails can
 * be repeated. */
#ifndef MOONWIRE_FUZZ_SERVER_WORLD_H
#define MOONWIRE_FUZZ_SERVER_WORLD_H

#include <stddef.h>
#include <stdint.h>

struct world_options {
  unsigned workers;
  uint64_t seed; /* of the order of turns */
};

/* Runs the operations of the input. Aborts if something is wrong. */
void world_run(const uint8_t *data, size_t size, const struct world_options *options);

#endif
