/* A Redis in memory, which runs the scripts of broker/scripts (redis_model.lua). */
#ifndef MOONWIRE_TEST_SUPPORT_CLUSTER_REDIS_MODEL_H
#define MOONWIRE_TEST_SUPPORT_CLUSTER_REDIS_MODEL_H

#include "broker/resp.h"

struct redis_model;

/* `on_publish` is called for each PUBLISH; it returns the number of receivers. */
struct redis_model *redis_model_new(size_t (*on_publish)(void *context, struct bytes channel, struct bytes payload),
                                    void *context);
void redis_model_free(struct redis_model *model);
/* Runs a script, or a command. The caller frees the reply. A fault of a script fails the test. */
struct resp_value *redis_model_run(struct redis_model *model, uint64_t now_ms, size_t script, size_t key_count,
                                   const struct bytes *arguments, size_t count);
struct resp_value *redis_model_command(struct redis_model *model, uint64_t now_ms, const struct bytes *arguments, size_t count);
/* Forgets the latest transactions, as a replica that is promoted, or a file that is behind. */
void redis_model_fail_over(struct redis_model *model, size_t lost);
/* No memory for writes, or enough. */
void redis_model_fill(struct redis_model *model, bool is_full);
/* Deletes a key, as somebody else might. */
void redis_model_drop(struct redis_model *model, const char *key);
/* Returns the position in the hash. */
uint64_t redis_model_position(struct redis_model *model, const char *key);

#endif
