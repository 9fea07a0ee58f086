// Clients that come and go at random, by every transport, each of which keeps its own idea of who is there.
//
//   node support/presence.mjs BASE CHANNEL SEATS MOVES
//
// A client begins with the snapshot that it gets when it comes, and follows the changes. At each change nobody may leave who was not
// there, nobody may join who was, and the count must be that of the names. At the end all must know what the server says. There are
// at least so many moves, and as many more as it takes until enough was seen.
// Prints what was counted.

import { WebSocket } from "ws";
import { BodyReader, EventParser, requestStream } from "./event_stream.mjs";

const [base, channel, ...numbers] = process.argv.slice(2);
const [seatCount, moveCount] = numbers.map(Number);
const USERS = Math.ceil(seatCount / 2);

function fail(text) {
  console.error(text);
  process.exit(1);
}
setTimeout(() => fail("too slow"), 200000).unref();

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const seen = { joins: 0, leaves: 0, snapshots: 0, changes: 0 };

class Seat {
  known = null; // by user: info
  constructor(number) {
    this.number = number;
  }

  take(data) {
    const where = `seat ${this.number} (${this.how} as ${this.user}): ${JSON.stringify(data)}`;
    if (data.members) {
      if (this.known) fail(`a second snapshot: ${where}`);
      this.known = new Map(Object.entries(data.members).map(([user, member]) => [user, member.info]));
      seen.snapshots++;
    } else {
      if (!this.known) fail(`a change before the snapshot: ${where}`);
      seen.changes++;
      for (const user of data.left) if (!this.known.delete(user)) fail(`${user} was not there: ${where}`);
      for (const [user, info] of Object.entries(data.joined)) {
        if (this.known.has(user)) fail(`${user} was there already: ${where}`);
        this.known.set(user, info);
      }
      seen.joins += Object.keys(data.joined).length;
      seen.leaves += data.left.length;
    }
    if (data.count !== this.known.size) fail(`${this.known.size} are known: ${where}`);
    for (const [user, info] of this.known) if (info.name !== user) fail(`the info of ${user}: ${where}`);
  }

  sit() {
    this.known = null;
    this.user = `u${Math.floor(Math.random() * USERS)}`;
    this.how = ["websocket", "envelope", "plain"][Math.floor(Math.random() * 3)];
    const life = {}; // what still comes for an earlier life is not for this one
    this.life = life;
    const mine = (take) => (value) => this.life === life && take(value);
    if (this.how === "websocket") {
      const socket = new WebSocket(`${base.replace(/^http/, "ws")}/ws?user=${this.user}`, { perMessageDeflate: false });
      socket.on("open", () => socket.send(JSON.stringify({ subscribe: channel, ref: 1 })));
      socket.on("error", () => {});
      socket.on("close", mine((code) => fail(`closed with ${code}`)));
      socket.on("message", mine((text) => {
        const object = JSON.parse(text);
        if (object.error) fail(`${text}`);
        this.take(object.ref ? object.ok.presence : object.data);
      }));
      this.end = () => (Math.random() < 0.5 ? socket.close() : socket.terminate());
      return;
    }
    const isPlain = this.how === "plain";
    const parser = new EventParser(mine(({ type, data }) => {
      const object = JSON.parse(data);
      if (isPlain && type !== "moonwire:presence") fail(`a plain stream got ${type}`);
      if (isPlain) this.take(object);
      else if (object.event === "moonwire:open") this.take(object.data.channels[channel].presence);
      else this.take(object.data);
    }));
    const body = new BodyReader((bytes) => parser.push(bytes));
    const socket = requestStream(base, `/sse?channel=${channel}&user=${this.user}${isPlain ? "" : "&envelope=1"}`);
    socket.on("data", mine((bytes) => body.push(bytes)));
    socket.on("error", mine((error) => fail(error.message)));
    this.end = () => socket.destroy();
  }

  stand() {
    this.life = null;
    this.end();
  }
}

const names = (list) => [...list].sort().join(" ");

async function settle(seats) {
  let truth = null;
  for (let i = 0; i < 1200; i++) {
    await sleep(50);
    truth = await (await fetch(`${base}/members`)).json();
    const expected = names(Object.keys(truth.members));
    const there = names(new Set(seats.filter((seat) => seat.life).map((seat) => seat.user)));
    const agree = seats.every((seat) => !seat.life || (seat.known && names(seat.known.keys()) === expected));
    if (expected === there && agree) return;
  }
  for (const seat of seats) if (seat.life) console.error(seat.number, seat.how, seat.user, seat.known && names(seat.known.keys()));
  fail(`never agreed: ${JSON.stringify(truth)}`);
}

// Where the server is slow, many leave before their snapshot.
const isEnough = () => seen.snapshots >= 1500 && seen.joins > 2000 && seen.leaves > 2000;

const seats = Array.from({ length: seatCount }, (_, i) => new Seat(i));
for (let move = 1; move <= moveCount || !isEnough(); move++) {
  const seat = seats[Math.floor(Math.random() * seatCount)];
  if (seat.life) seat.stand();
  else seat.sit();
  if (move % 10 === 0) await sleep(Math.random() * 20);
  if (move % 1000 === 0) await settle(seats);
}
await settle(seats);
for (const seat of seats) if (seat.life) seat.stand();
console.log(JSON.stringify(seen));
process.exit(0);
