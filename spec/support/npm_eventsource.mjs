// npm's EventSource behind a proxy that cuts each connection at a random place.
//
//   node support/npm_eventsource.mjs BASE TARGET COUNT
//
// Reads until it has COUNT events whose data is {"n":1}, {"n":2} … and prints how often it came back.

import { EventSource } from "eventsource";
import { CuttingProxy } from "./proxy.mjs";

const [base, target, count] = process.argv.slice(2);
const proxy = new CuttingProxy();
proxy.cutAfter = () => 600 + Math.floor(Math.random() * 5000);
const address = await proxy.listen(base);

let last = 0;
const source = new EventSource(address + target);
source.addEventListener("moonwire:gap", () => {
  console.error(`a gap was announced behind ${last}`);
  process.exit(1);
});
source.addEventListener("item", (event) => {
  const { n } = JSON.parse(event.data);
  if (n !== last + 1) {
    console.error(`${n} follows ${last}`);
    process.exit(1);
  }
  last = n;
  if (last === Number(count)) {
    console.log(JSON.stringify({ last, connections: proxy.connections }));
    process.exit(0);
  }
});
