/** A queue whose front comes off at no cost, however long it is: taken items are cut off together, half of them at a time. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  /** How many of `items` were taken. */
  #taken = 0;

  get size(): number {
    return this.#items.length - this.#taken;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** The item at this place, from 0 at the front. */
  at(place: number): T | undefined {
    return place < 0 ? undefined : this.#items[this.#taken + place];
  }

  shift(): T | undefined {
    const item = this.at(0);
    if (item === undefined) return undefined;
    this.#items[this.#taken] = undefined; // what was taken is not kept alive
    this.#taken += 1;
    if (2 * this.#taken >= this.#items.length) {
      this.#items = this.#items.slice(this.#taken);
      this.#taken = 0;
    }
    return item;
  }

  /** Takes all of it. */
  clear(): T[] {
    const items = this.#items.slice(this.#taken) as T[];
    this.#items = [];
    this.#taken = 0;
    return items;
  }
}
