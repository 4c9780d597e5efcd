/** @file Connections to the service's URL. */

import { Connection } from "./connection.js";

/** @import { ConnectionHandlers, WebSocketClass } from "./connection.js" */

export class Dialer {
  #url;
  #WebSocket;

  /**
   * @param {string} url
   * @param {WebSocketClass} [WebSocket] The global class by default.
   */
  constructor(url, WebSocket = globalThis.WebSocket) {
    if (!/^wss?:$/.test(new URL(url).protocol)) {
      throw new TypeError("The URL must begin with ws:// or wss://");
    }
    if (!WebSocket) {
      throw new TypeError(
        "There is no WebSocket: run Node 20 with --experimental-websocket, or pass the option WebSocket",
      );
    }
    this.#url = url;
    this.#WebSocket = WebSocket;
  }

  /**
   * @param {Record<string, string>} credentials What is added to the URL's query.
   * @param {ConnectionHandlers} handlers
   * @returns {Connection}
   */
  dial(credentials, handlers) {
    const url = new URL(this.#url);
    Object.entries(credentials).forEach(([name, value]) => url.searchParams.set(name, value));
    return new Connection(this.#WebSocket, url.href, handlers);
  }
}
