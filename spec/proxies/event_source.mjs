// npm's EventSource, which does what the standard says, at an address.
//
//   node proxies/event_source.mjs URL
//
// Prints a line for each thing that happens: {"open":true}, {"event":…,"data":…,"at":<milliseconds since 1970>}, and
// {"closed":true} when it does not reconnect any more. Ends with its standard input.

import { EventSource } from "eventsource";

const [url] = process.argv.slice(2);
const say = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);
const source = new EventSource(url);
source.onopen = () => say({ open: true });
source.onerror = () => {
  if (source.readyState === EventSource.CLOSED) say({ closed: true });
};
for (const event of ["message", "item", "moonwire:gap"]) {
  source.addEventListener(event, ({ type, data }) => say({ event: type, data: JSON.parse(data), at: Date.now() }));
}
process.stdin.resume().on("end", () => process.exit(0));
