#include "app/raw_data.h"

#include "app/app.h"
#include "app/script_job.h"
#include "app/socket.h"
#include "base/memory.h"

void raw_data_free(struct raw_data *data) {
  struct script_job *job = data->job;
  bool is_end = job && data == &job->end;
  blob_unref(data->blob);
  mw_socket_unref(data->socket);
  if (!is_end) memory_free(data);
  job_unref(job);
}

int raw_data_post(struct app *app, struct script_job *job, struct mw_socket *socket, struct blob *blob) {
  struct raw_data *data = memory_alloc(sizeof *data);
  if (!data) {
    blob_unref(blob);
    return MW_ENOMEM;
  }
  struct address to = job ? job->mail.to : (struct address){.worker = socket->client->address.worker};
  *data = (struct raw_data){.mail = {.class = app->workers->raw, .to = to, .size = mail_size(sizeof *data + blob->len)},
                            .job = job ? job_ref(job) : NULL,
                            .socket = socket ? socket_ref(socket) : NULL,
                            .blob = blob,
                            .size = blob->len};
  if (socket) atomic_fetch_add(&socket->under_way, data->size);
  int status = app->workers->post(app, &data->mail);
  if (status == 0) return 0;
  if (socket) atomic_fetch_sub(&socket->under_way, data->size);
  raw_data_free(data);
  return status;
}
