#define _XOPEN_SOURCE 700 /* mkdtemp, kill */

#include "test/support/redis/real_redis.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/support.h"

static pid_t start(struct real_redis *real, const char *command) {
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid > 0) return pid;
  if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr) || chdir(real->directory) != 0) _exit(127);
  execlp("sh", "sh", "-c", command, (char *)NULL);
  _exit(127);
}

void real_redis_begin(struct real_redis *real) {
  *real = (struct real_redis){.directory = "/tmp/mw-redis-XXXXXX"};
  assert_non_null(mkdtemp(real->directory));
}

void real_redis_end(struct real_redis *real) {
  for (size_t i = 0; i < REAL_REDIS_MAX; i++) real_redis_kill(real, i);
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", real->directory);
  real_redis_run(real, command);
}

void real_redis_start_program(struct real_redis *real, size_t index, const char *command) {
  real_redis_kill(real, index);
  real->programs[index] = start(real, command);
}

void real_redis_start(struct real_redis *real, size_t index, const char *name, const char *more) {
  char command[1024];
  snprintf(command, sizeof command, "exec redis-server --port 0 --unixsocket %s/%s --save '' --pidfile '' --dbfilename %s.rdb %s",
           real->directory, name, name, more);
  real_redis_start_program(real, index, command);
}

void real_redis_kill(struct real_redis *real, size_t index) {
  pid_t pid = real->programs[index];
  if (pid == 0) return;
  real->programs[index] = 0;
  kill(pid, SIGKILL);
  assert_int_equal(waitpid(pid, NULL, 0), pid);
}

void real_redis_run(struct real_redis *real, const char *command) {
  int status = -1;
  assert_true(waitpid(start(real, command), &status, 0) > 0);
  assert_int_equal(status, 0);
}

/* Below the ports that the system gives to clients' connections, which might take it before the program does. */
unsigned real_redis_find_port(void) {
  static unsigned found;
  for (;;) {
    unsigned port = 10000 + ((unsigned)getpid() * 31 + found++) % 20000;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int status = bind(fd, (struct sockaddr *)&address, sizeof address);
    close(fd);
    if (status == 0) return port;
  }
}
