import type { KeyGroupRange } from '../../core/key-groups/key-group.ts';

/** Sorts items by key group, in as many steps as there are items and key groups. */
export class KeyGroupOrder<Item extends { readonly keyGroup: number }> {
  readonly #firstKeyGroup: number;
  /** By key group: how many items, then where the next one goes. */
  readonly #places: Uint32Array;
  #items: Item[] = [];

  constructor({ first, last }: KeyGroupRange) {
    this.#firstKeyGroup = first;
    this.#places = new Uint32Array(last - first + 1);
  }

  add(item: Item): void {
    this.#items.push(item);
    const group = item.keyGroup - this.#firstKeyGroup;
    this.#places[group] = (this.#places[group] as number) + 1;
  }

  /** All that were added; those of one key group in the order of adding. */
  takeAll(): readonly Item[] {
    const items = this.#items;
    this.#items = [];
    const places = this.#places;
    for (let index = 0, next = 0; index < places.length; index++) {
      const count = places[index] as number;
      places[index] = next;
      next += count;
    }
    const ordered = new Array<Item>(items.length);
    for (const item of items) {
      const group = item.keyGroup - this.#firstKeyGroup;
      const place = places[group] as number;
      ordered[place] = item;
      places[group] = place + 1;
    }
    places.fill(0);
    return ordered;
  }
}
