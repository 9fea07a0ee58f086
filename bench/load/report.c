#include "load/report.h"

#include <inttypes.h>
#include <stdio.h>

#include "codec/json_scan.h"

static double microseconds(uint64_t ns) { return (double)ns / 1e3; }

static void write_connect(struct buffer *out, const struct options *options, const struct connect_result *connected) {
  buffer_append_format(out, "\"connect\":{\"seconds\":%.6f,\"server_cpu_us\":%.1f},\"memory\":[", connected->seconds,
                       microseconds(connected->server_cpu_ns));
  for (size_t i = 0; i < options->pid_count; i++) {
    const struct process_memory *before = &connected->before[i], *after = &connected->after[i];
    buffer_append_format(out,
                         "%s{\"pid\":%d,\"resident_before\":%" PRIu64 ",\"resident\":%" PRIu64 ",\"unshared_before\":%" PRIu64
                         ",\"unshared\":%" PRIu64 "}",
                         i > 0 ? "," : "", options->pids[i], before->resident, after->resident, before->unshared,
                         after->unshared);
  }
  buffer_append_string(out, "]");
}

static void write_phase(struct buffer *out, const struct options *options, const struct phase *phase,
                        const struct phase_result *result) {
  uint64_t user = 0, system = 0;
  for (size_t i = 0; i < options->pid_count; i++) {
    user += result->server[i].user_ns;
    system += result->server[i].system_ns;
  }
  buffer_append_format(out, "{\"window\":%" PRIu32 ",\"rate\":%g,\"size\":%zu,\"batch\":%" PRIu32 ",\"depth\":%" PRIu32 ",",
                       phase->window, phase->rate, phase->size, phase->batch, phase->depth);
  buffer_append_format(out, "\"messages\":%" PRIu64 ",\"deliveries\":%" PRIu64 ",\"reads\":%" PRIu64 ",\"seconds\":%.6f,",
                       result->messages, result->deliveries, result->reads, result->seconds);
  buffer_append_format(out, "\"server_user_us\":%.1f,\"server_system_us\":%.1f,\"own_cpu_us\":%.1f,", microseconds(user),
                       microseconds(system), microseconds(result->own_cpu_ns));
  buffer_append_format(out, "\"latency_us\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}}",
                       microseconds(result->p50_ns), microseconds(result->p90_ns), microseconds(result->p99_ns),
                       microseconds(result->p999_ns), microseconds(result->max_ns));
}

static void write_faults(struct buffer *out, const struct faults *faults) {
  buffer_append_format(out,
                       "\"faults\":{\"total\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"doubled\":%" PRIu64 ",\"disordered\":%" PRIu64
                       ",\"altered\":%" PRIu64 ",\"closed\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"stalled\":%" PRIu64
                       ",\"invalid\":%" PRIu64 ",\"first\":",
                       faults_total(faults), faults->lost, faults->doubled, faults->disordered, faults->altered, faults->closed,
                       faults->refused, faults->stalled, faults->invalid);
  struct buffer first; /* may have any bytes of a server */
  buffer_init(&first);
  for (const char *at = faults->first; *at; at++) buffer_append_char(&first, (signed char)*at < 0 ? '?' : *at);
  json_write_string(out, buffer_bytes(&first));
  buffer_deinit(&first);
  buffer_append_char(out, '}');
}

void report_print(const struct options *options, const struct connect_result *connected, const struct phase_result *results,
                  const struct faults *faults) {
  struct buffer out;
  buffer_init(&out);
  buffer_append_format(&out, "{\"subscribers\":%" PRIu32 ",\"channels\":%" PRIu32 ",", options->subscribers, options->channels);
  write_connect(&out, options, connected);
  buffer_append_string(&out, ",\"phases\":[");
  for (size_t i = 0; i < options->phase_count; i++) {
    if (i > 0) buffer_append_char(&out, ',');
    write_phase(&out, options, &options->phases[i], &results[i]);
  }
  buffer_append_string(&out, "],");
  write_faults(&out, faults);
  buffer_append_string(&out, "}\n");
  if (out.failed) die("out of memory");
  fwrite(out.data, 1, out.len, stdout);
  buffer_deinit(&out);
}
