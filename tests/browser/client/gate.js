/** @file A network between a client and the service that the test can cut. */

import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Gate {
  /** Whether new connections are cut at once. */
  isDown = false;
  #sockets = new Set();
  #server;
  #target;

  /** @param {string} url The service's URL, on this machine. */
  static async open(url) {
    const gate = new Gate(new URL(url));
    gate.#server.listen(0, "127.0.0.1");
    await once(gate.#server, "listening");
    return gate;
  }

  constructor(target) {
    this.#target = target;
    this.#server = createServer((client) => (this.isDown ? client.destroy() : this.#pipe(client)));
  }

  /** The URL of the service behind the gate. */
  get url() {
    const url = new URL(this.#target);
    url.port = this.#server.address().port;
    return url.href;
  }

  /** Cut all connections, without a close frame. */
  cut() {
    this.#sockets.forEach((socket) => socket.destroy());
  }

  close() {
    this.#server.close();
    this.cut();
  }

  #pipe(client) {
    const { hostname, port } = this.#target;
    const service = connect(port, hostname);
    for (const [from, to] of [
      [client, service],
      [service, client],
    ]) {
      this.#sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  }
}
