// A subscriber on the `ws` package: five hundred trades without a gap, and a clean end.
//
// usage: node subscriber.mjs ws://HOST:PORT/v1/ws plain|compressed

import { readFileSync } from "node:fs";
import WebSocket from "ws";

const TICKS = 500;
const [url, compression] = process.argv.slice(2);

function check(condition, what) {
  if (!condition) {
    console.error(`node ws: ${what}`);
    process.exit(1);
  }
}

const newest = new Map();
let ticks = 0;
let stage = "hello";

function take(tick) {
  check(tick.t === "trade", `no trade: ${JSON.stringify(tick)}`);
  const before = newest.get(tick.ch);
  check(before === undefined || tick.seq === before + 1, `a gap after ${before}: ${JSON.stringify(tick)}`);
  newest.set(tick.ch, tick.seq);
  ticks += 1;
}

function isAnswer(message, id) {
  if (message.t !== "ack") return false;
  check(message.id === id && message.err.length === 0, `an answer that is none: ${JSON.stringify(message)}`);
  return true;
}

const socket = new WebSocket(url, ["tickwire.v1.json"]);
const send = (command) => socket.send(JSON.stringify(command));

// What comes next in each stage, and the stage after it.
const stages = {
  hello(message) {
    check(message.t === "hello", `no greeting: ${JSON.stringify(message)}`);
    check(socket.protocol === "tickwire.v1.json", `the subprotocol is ${socket.protocol}`);
    const agreed = socket.extensions.includes("permessage-deflate");
    check(agreed === (compression === "compressed"), `compression is agreed on: ${agreed}`);
    send({ op: "sub", id: 1, ch: ["trade:*"] });
    return "subscribing";
  },
  subscribing(message) {
    check(isAnswer(message, 1), `before the answer: ${JSON.stringify(message)}`);
    return "ticks";
  },
  ticks(message) {
    take(message);
    if (ticks < TICKS) return "ticks";
    send({ op: "unsub", id: 2, ch: ["trade:*"] });
    return "unsubscribing";
  },
  unsubscribing(message) {
    if (!isAnswer(message, 2)) {
      take(message);
      return "unsubscribing";
    }
    send({ op: "ping", id: 3 });
    return "quiet";
  },
  quiet(message) {
    check(message.t === "pong", `after the end of the subscription: ${JSON.stringify(message)}`);
    socket.ping("still there");
    return "pinged";
  },
  pinged(message) {
    check(false, `after the end of the subscription: ${JSON.stringify(message)}`);
  },
};

socket.on("message", (data, isBinary) => {
  check(!isBinary, "a binary message");
  stage = stages[stage](JSON.parse(data.toString()));
});
socket.on("pong", (data) => {
  check(stage === "pinged" && data.toString() === "still there", `a pong of ${data}`);
  stage = "closing";
  socket.close(1000, "done");
});
socket.on("close", (code) => {
  check(stage === "closing" && code === 1000, `closed with ${code} while ${stage}`);
  const { version } = JSON.parse(readFileSync(new URL("node_modules/ws/package.json", import.meta.url)));
  console.log(`node ws ${version}, ${compression}: ${TICKS} ticks of ${newest.size} channels, no gap, closed cleanly`);
});
socket.on("error", (error) => check(false, error.message));
