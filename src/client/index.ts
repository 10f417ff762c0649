/**
 * threadgate/client: a WebSocket client that comes back, for browsers and for Node; see docs/client.md. This folder
 * imports nothing but itself.
 */
export { Client, type ClientEvents, createClient, type SendOptions } from './client.js';
export type { Incoming, Outgoing } from './data.js';
export * from './errors.js';
export { type Attempt, type ClientOptions, comesBack, type Protocols, type Url } from './options.js';
export type { Delivery } from './outbox.js';
export type { Status } from './status.js';
export type { WebSocketClass, WebSocketLike } from './websocket.js';
