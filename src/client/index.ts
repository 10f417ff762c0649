/**
 * threadgate/client: a WebSocket client that comes back, for browsers and for Node; see docs/client.md. This folder
 * imports nothing but itself.
 */
export { Client, type ClientEvents, createClient } from './client.js';
export { comesBack } from './close.js';
export type { Incoming, Outgoing } from './data.js';
export type { Delivery } from './delivery.js';
export * from './errors.js';
export type { Attempt, ClientOptions, Protocols, Url } from './options.js';
export type { SendOptions } from './send-options.js';
export type { Gap } from './session.js';
export type { Status } from './status.js';
export type { WebSocketClass, WebSocketLike } from './websocket.js';
