// npm's EventSource on a channel that ends.
//
//   node support/final_eventsource.mjs BASE TARGET PUBLISH
//
// Publishes two items by posts to PUBLISH, the second of which is final, and waits until the source has closed for good. Prints what
// came, and how many connections it took.

import { EventSource } from "eventsource";
import { CuttingProxy } from "./proxy.mjs";

const [base, target, publish] = process.argv.slice(2);
const proxy = new CuttingProxy();
const address = await proxy.listen(base);
const seen = { events: [], ends: 0 };
const source = new EventSource(address + target);
const post = (query) => fetch(`${base}${publish}?${query}`, { method: "POST", headers: { "Content-Length": "0" } });

setTimeout(() => {
  console.error(`it is still there: ${JSON.stringify(seen)}`);
  process.exit(1);
}, 60000);
source.addEventListener("item", (event) => seen.events.push(JSON.parse(event.data).n));
source.addEventListener("moonwire:end", () => seen.ends++);
source.addEventListener("error", () => {
  if (source.readyState !== EventSource.CLOSED) return;
  console.log(JSON.stringify({ ...seen, connections: proxy.connections, closed: true }));
  process.exit(0);
});
await new Promise((resolve) => source.addEventListener("open", resolve, { once: true }));
await post("n=1");
await post("n=2&final=1");
