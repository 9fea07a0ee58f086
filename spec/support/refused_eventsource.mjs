// npm's EventSource on a stream that is refused.
//
//   node support/refused_eventsource.mjs URL
//
// Prints "open" when it has got through, however often it was refused, or "closed" when it will not reconnect.

import { EventSource } from "eventsource";

const source = new EventSource(process.argv[2]);
const finish = (word) => {
  console.log(word);
  process.exit(0);
};

setTimeout(() => finish("neither"), 60000);
source.addEventListener("moonwire:open", () => finish("open"));
source.addEventListener("message", () => finish("open"));
source.addEventListener("error", () => {
  if (source.readyState === EventSource.CLOSED) finish("closed");
});
