#define _GNU_SOURCE /* dladdr, RTLD_NODELETE */

#include "lua/fetch/fetcher.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

/* A descriptor of libcurl. */
struct fetch_watch {
  struct fetch_watch *prev, *next;
  struct fetcher *fetcher;
  curl_socket_t descriptor;
  struct mw_watch *watch;
  enum mw_readiness readiness;
};

struct fetcher {
  CURLM *multi;
  struct mw_server *server;
  struct mw_timer *timer;
  struct fetch_watch *watches;
  struct transfer *changed; /* linked by next_changed */
  size_t count;
  void (*on_progress)(struct transfer *transfer);
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init_curl(void) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  /* Its threads that resolve names may outlive the Lua state, whose end would unload it. */
#ifdef RTLD_NODELETE
  Dl_info info;
  if (dladdr((void *)&curl_easy_init, &info) && info.dli_fname) dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}

/* Tells of all that has changed. What on_progress does may change more, or free the fetcher's
 * transfers, so each is taken off the list first. */
static void fetcher_tell(struct fetcher *fetcher) {
  CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(fetcher->multi, &left))) {
    if (message->msg != CURLMSG_DONE) continue;
    struct transfer *transfer;
    CURLcode result = message->data.result;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
    transfer_end(transfer, result);
    transfer_mark(transfer);
  }
  struct transfer *transfer;
  while ((transfer = fetcher->changed)) {
    fetcher->changed = transfer->next_changed;
    transfer->is_changed = false;
    fetcher->on_progress(transfer);
  }
}

/* ---- libcurl's descriptors and its timer ----------------------------------------------------------- */

static void on_descriptor(void *context) {
  struct fetch_watch *watch = context;
  struct fetcher *fetcher = watch->fetcher;
  int running;
  curl_multi_socket_action(fetcher->multi, watch->descriptor, 0, &running); /* may free the watch */
  fetcher_tell(fetcher);
}

static void watch_end(struct fetch_watch *watch) {
  if (!watch) return;
  mw_watch_free(watch->watch);
  if (watch->prev) {
    watch->prev->next = watch->next;
  } else {
    watch->fetcher->watches = watch->next;
  }
  if (watch->next) watch->next->prev = watch->prev;
  free(watch);
}

static int on_socket(CURL *easy, curl_socket_t descriptor, int what, void *context, void *known) {
  static const enum mw_readiness readiness_of[] = {
      [CURL_POLL_IN] = MW_READABLE, [CURL_POLL_OUT] = MW_WRITABLE, [CURL_POLL_INOUT] = MW_READABLE_OR_WRITABLE};
  struct fetcher *fetcher = context;
  struct fetch_watch *watch = known;
  (void)easy;
  if (what == CURL_POLL_REMOVE) {
    watch_end(watch);
    curl_multi_assign(fetcher->multi, descriptor, NULL);
    return 0;
  }
  if (what != CURL_POLL_IN && what != CURL_POLL_OUT && what != CURL_POLL_INOUT) return 0;
  enum mw_readiness readiness = readiness_of[what];
  if (watch && watch->watch && watch->readiness == readiness) return 0;
  if (!watch) {
    watch = calloc(1, sizeof *watch);
    if (!watch) return -1;
    watch->fetcher = fetcher;
    watch->descriptor = descriptor;
    watch->next = fetcher->watches;
    if (watch->next) watch->next->prev = watch;
    fetcher->watches = watch;
    curl_multi_assign(fetcher->multi, descriptor, watch);
  }
  mw_watch_free(watch->watch);
  watch->watch = NULL;
  watch->readiness = readiness;
  /* libcurl would take an error as the end of all transfers, and let none begin until the last of
   * them is removed. Without the watch, this one runs into its time limit. */
  if (mw_watch_new(&watch->watch, fetcher->server, descriptor, readiness, on_descriptor, watch) != 0) watch->watch = NULL;
  return 0;
}

static void on_time(void *context) {
  struct fetcher *fetcher = context;
  int running;
  mw_timer_free(fetcher->timer);
  fetcher->timer = NULL;
  curl_multi_socket_action(fetcher->multi, CURL_SOCKET_TIMEOUT, 0, &running);
  fetcher_tell(fetcher);
}

static int on_timer(CURLM *multi, long delay_ms, void *context) {
  struct fetcher *fetcher = context;
  (void)multi;
  mw_timer_free(fetcher->timer);
  fetcher->timer = NULL;
  if (delay_ms < 0) return 0;
  return mw_timer_new(&fetcher->timer, fetcher->server, (uint64_t)delay_ms, 0, on_time, fetcher) == 0 ? 0 : -1;
}

/* ---- Transfers --------------------------------------------------------------------------------------- */

struct fetcher *fetcher_new(struct mw_server *server, void (*on_progress)(struct transfer *transfer)) {
  pthread_once(&once, init_curl);
  struct fetcher *fetcher = calloc(1, sizeof *fetcher);
  if (!fetcher) return NULL;
  CURLM *multi = fetcher->multi = curl_multi_init();
  if (!multi) {
    free(fetcher);
    return NULL;
  }
  fetcher->server = server;
  fetcher->on_progress = on_progress;
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, fetcher);
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, fetcher);
  curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)FETCHER_CONNECTIONS_MAX);
  curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)FETCHER_SERVER_MAX);
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)FETCHER_IDLE_MAX);
  return fetcher;
}

void fetcher_free(struct fetcher *fetcher) {
  if (!fetcher) return;
  curl_multi_cleanup(fetcher->multi); /* closes the connections, and ends their watches */
  while (fetcher->watches) watch_end(fetcher->watches);
  mw_timer_free(fetcher->timer);
  free(fetcher);
}

int fetcher_add(struct fetcher *fetcher, struct transfer *transfer) {
  if (fetcher->count >= FETCHER_TRANSFERS_MAX) return MW_ELIMIT;
  transfer->changed_list = &fetcher->changed;
  if (curl_multi_add_handle(fetcher->multi, transfer->easy) != CURLM_OK) return MW_ENOMEM;
  transfer->is_added = true;
  fetcher->count++;
  return 0;
}

void fetcher_remove(struct fetcher *fetcher, struct transfer *transfer) {
  if (!transfer->is_added) return;
  transfer->is_added = false;
  fetcher->count--;
  curl_multi_remove_handle(fetcher->multi, transfer->easy);
  for (struct transfer **at = &fetcher->changed; *at; at = &(*at)->next_changed) {
    if (*at != transfer) continue;
    *at = transfer->next_changed;
    break;
  }
  transfer->is_changed = false;
}
