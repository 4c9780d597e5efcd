/** @file Connections to the service's URL. */

import { Connection } from "./connection.js";

/** @import { ConnectionHandlers, WebSocketClass } from "./connection.js" */
/**
 * @callback Dial
 * @param {Record<string, string>} credentials What is added to the URL's query.
 * @param {ConnectionHandlers} handlers
 * @returns {Connection}
 */

/**
 * Return the function that opens connections.
 *
 * @param {string} url
 * @param {WebSocketClass} [WebSocket] The global class by default.
 * @returns {Dial}
 */
export function dialer(url, WebSocket = globalThis.WebSocket) {
  if (!/^wss?:$/.test(new URL(url).protocol)) {
    throw new TypeError("The URL must begin with ws:// or wss://");
  }
  if (!WebSocket) {
    throw new TypeError("Node 20 needs --experimental-websocket or the option WebSocket");
  }
  return (credentials, handlers) => {
    const target = new URL(url);
    Object.entries(credentials).forEach(([name, value]) => target.searchParams.set(name, value));
    return new Connection(WebSocket, target.href, handlers);
  };
}
