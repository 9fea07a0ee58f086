#include "lua/objects/lua_password.h"

#include <stdlib.h>
#include <string.h>

#include "lua/base/wait.h"

/* One computation. Freed by the task that waits for it or, if that has ended, when it is done. */
struct password_job {
  struct task_wait wait;
  struct mw_work *work;
  bool verifies, has_hash, is_done;
  int cost;
  int status; /* of the computation, or of the work */
  size_t password_len, hash_len;
  char made[MW_PASSWORD_HASH_SIZE];
  char text[]; /* the password, then the hash */
};

static void job_compute(void *context) {
  struct password_job *job = context;
  const char *hash = job->has_hash ? job->text + job->password_len : NULL;
  job->status = job->verifies ? mw_crypto_password_verify(job->text, job->password_len, hash, job->hash_len)
                              : mw_crypto_password_hash(job->text, job->password_len, job->cost, job->made);
}

static void job_free(struct password_job *job) {
  volatile char *at = job->text;
  for (size_t i = 0; i < job->password_len; i++) at[i] = '\0';
  free(job);
}

static void job_on_done(void *context, int status) {
  struct password_job *job = context;
  job->is_done = true;
  if (status < 0) job->status = status;
  if (job->wait.task) {
    task_wake(job->wait.task);
  } else {
    job_free(job);
  }
}

static void job_abandon(struct task_wait *wait) {
  struct password_job *job = (struct password_job *)wait;
  wait->task = NULL;
  if (job->is_done) {
    job_free(job);
  } else {
    mw_work_cancel(job->work);
  }
}

/* Pushes the result, and frees the job. */
static int push_password_result(lua_State *L, struct password_job *job) {
  int status = job->status;
  char made[MW_PASSWORD_HASH_SIZE];
  bool verifies = job->verifies;
  memcpy(made, job->made, sizeof made);
  job_free(job);
  if (status == MW_EINVAL) return failure_push(L, "not a hash of password_hash", "invalid");
  if (status == MW_ECLOSED) return failure_push(L, "closed", "closed");
  if (status < 0) return failure_push(L, mw_status_text(status), "unavailable");
  if (verifies) {
    lua_pushboolean(L, status);
  } else {
    lua_pushstring(L, made);
  }
  return 1;
}

static int finish_password(lua_State *L, int lua_status, lua_KContext context) {
  (void)lua_status;
  struct password_job *job = (struct password_job *)context;
  const char *cancelled = task_end_wait(&job->wait, job->is_done);
  if (job->is_done) return push_password_result(L, job);
  mw_work_cancel(job->work);
  return failure_push(L, cancelled, strcmp(cancelled, "closed") == 0 ? "closed" : "unavailable");
}

static int compute_or_wait(lua_State *L, bool verifies, struct mw_bytes hash, int cost) {
  struct mw_bytes password = bytes_check(L, 1);
  struct task *task = door_running(door_get(L));
  int result;
  if (task && !task_may_wait(L, &result)) return result;
  struct password_job *job = calloc(1, sizeof *job + password.len + hash.len + 1);
  if (!job) return failure_push(L, mw_status_text(MW_ENOMEM), "unavailable");
  job->verifies = verifies;
  job->has_hash = hash.ptr != NULL;
  job->cost = cost;
  job->password_len = password.len;
  job->hash_len = hash.len;
  memcpy(job->text, password.ptr, password.len);
  if (hash.len > 0) memcpy(job->text + password.len, hash.ptr, hash.len);
  if (!task) {
    job_compute(job);
    return push_password_result(L, job);
  }
  job->wait.abandon = job_abandon;
  int status = mw_work_start(&job->work, task->group->server, job_compute, job_on_done, job);
  if (status == 0) return task_wait(L, &job->wait, finish_password);
  job_free(job);
  return failure_push(L, status == MW_EUNAVAILABLE ? "too many passwords are being checked; retry" : mw_status_text(status),
                      status == MW_ECLOSED ? "closed" : "unavailable");
}

int password_hash(lua_State *L) { return compute_or_wait(L, false, (struct mw_bytes){NULL, 0}, (int)luaL_checkinteger(L, 2)); }

int password_verify(lua_State *L) {
  struct mw_bytes hash = {NULL, 0};
  if (!lua_isnoneornil(L, 2)) hash = bytes_check(L, 2);
  return compute_or_wait(L, true, hash, 0);
}
