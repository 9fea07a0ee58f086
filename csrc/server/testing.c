/* Tests of an app: a server whose time is moved by hand, and peers without sockets. */
#include "net/stream_peer.h"
#include "server/server.h"
#include "server/turns.h"

/* Turns after which a server that still has work never comes to rest: each handler starts another
 * one. */
enum { SETTLE_TURNS_MAX = 20000 };

/* ---- Time ------------------------------------------------------------------------------------ */

/* At least a millisecond, so that an alarm that sets another one for now cannot hold time back. */
static uint64_t step_ms(const struct mw_server *server, uint64_t most_ms) {
  uint64_t next_ms = server_next_ms(server);
  if (next_ms == 0) next_ms = 1;
  return next_ms < most_ms ? next_ms : most_ms;
}

void mw_server_advance(struct mw_server *server, uint64_t ms) {
  struct loop *loop = &server->loop;
  if (!loop->clock.manual) {
    clock_update(&loop->clock);
    clock_advance(&loop->clock, 0);
    alarms_take_over(loop);
  }
  while (ms > 0 && server->app.state < APP_STOPPED) {
    uint64_t step = step_ms(server, ms);
    clock_advance(&loop->clock, step);
    ms -= step;
    turns_run_timers(server);
    loop->turn++;
    loop->has_polled = true;
    loop->on_turn(loop);
  }
}

bool mw_server_settle(struct mw_server *server) {
  for (int turn = 0; turn < SETTLE_TURNS_MAX; turn++) {
    if (!mw_server_step(server) || !loop_has_work(&server->loop)) return true;
  }
  return false;
}

/* ---- Peers ----------------------------------------------------------------------------------- */

static struct stream_peer *peer_of(const struct mw_memory *memory) { return (struct stream_peer *)(uintptr_t)memory; }

int mw_connect_memory(struct mw_server *server, struct mw_memory **memory) {
  if (app_stopping(&server->app)) return MW_ECLOSED;
  if (server->is_threaded) return MW_EINVAL;
  struct stream_peer *peer = stream_peer_new();
  if (!peer) return MW_ENOMEM;
  const struct schedule *schedule = server->schedule;
  size_t index = schedule ? schedule->accepts(schedule->context, server->worker_count) : 0;
  int status = http_accept_memory(&server->workers[index].http, peer);
  if (status < 0) {
    stream_peer_close(peer);
    return status;
  }
  *memory = (struct mw_memory *)(void *)peer;
  return 0;
}

int mw_memory_write(struct mw_memory *memory, const void *data, size_t len) {
  return stream_peer_write(peer_of(memory), bytes_of(data, len));
}

size_t mw_memory_read(struct mw_memory *memory, void *out, size_t size) { return stream_peer_read(peer_of(memory), out, size); }
bool mw_memory_ended(const struct mw_memory *memory) { return stream_peer_ended(peer_of(memory)); }
void mw_memory_finish(struct mw_memory *memory) { stream_peer_finish(peer_of(memory)); }

void mw_memory_close(struct mw_memory *memory) {
  if (memory) stream_peer_close(peer_of(memory));
}
