/**
 * The contract of a broker: how a publication gets to subscribers, on this node and on others. One seam: whatever is
 * published goes through it. Implementations stand beside this file.
 */

export interface Publication {
  /** Namespace, separator, topic; or only the topic where `everyNamespace` is set. */
  name: string;
  everyNamespace: boolean;
  /** May be a view of memory that is used again: a broker that keeps it beyond the call MUST copy it. */
  data: Uint8Array;
  binary: boolean;
  compress: boolean;
  /** The local connection that is not to get it. Means nothing to other nodes. */
  except: object | undefined;
}

/** Sends a publication to this node's own subscribers. */
export type Deliver = (publication: Publication) => void;

export interface Broker {
  /**
   * MUST get the publication to every subscriber on every node, once; to this node's own through `deliver`, before
   * this call returns, so that it keeps its place among the frames that a lane sends.
   */
  publish(publication: Publication): void;
  /** The first subscriber on this node came: publications of other nodes for this name are wanted from now on. */
  subscribe(name: string): void;
  /** The last subscriber on this node went. */
  unsubscribe(name: string): void;
  close(): Promise<void>;
}
