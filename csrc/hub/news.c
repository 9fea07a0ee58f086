#include "hub/news.h"

#include "base/memory.h"
#include "base/refs.h"

struct news *news_new(size_t room) {
  struct news *news = memory_calloc(1, sizeof *news + room * sizeof news->changes[0]);
  if (news) atomic_init(&news->refs, 1);
  return news;
}

void news_add(struct news *news, struct blob *key, struct blob *info, bool left) {
  blob_ref(key);
  blob_ref(info);
  news->changes[news->change_count++] = (struct news_change){.key = key, .info = info, .left = left};
  news->texts_len += key->len + blob_bytes(info).len;
}

struct news *news_ref(struct news *news) {
  refs_add(&news->refs);
  return news;
}

void news_unref(struct news *news) {
  if (!news || !refs_remove(&news->refs)) return;
  for (size_t i = 0; i < news->change_count; i++) {
    blob_unref(news->changes[i].key);
    blob_unref(news->changes[i].info);
  }
  memory_free(news);
}
