/**
 * The producing end of one channel's flow control: what needs credit waits here in order while the consumer gives none, and what needs
 * none (watermarks, barriers, the end) waits behind it. A task does not run while something waits, so at most the output of one micro-batch does.
 */
export class CreditQueue<T> {
  #credits: number;
  readonly #waiting: { element: T; readonly needsCredit: boolean }[] = [];
  readonly #send: (element: T) => void;

  constructor(initialCredits: number, send: (element: T) => void) {
    this.#credits = initialCredits;
    this.#send = send;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** `replaces`: takes the place of the last element when that still waits and this is true of it. */
  submit(element: T, needsCredit: boolean, replaces?: (waiting: T) => boolean): void {
    const last = this.#waiting.at(-1);
    if (last !== undefined && replaces?.(last.element)) {
      last.element = element;
      return;
    }
    if (this.#waiting.length > 0 || (needsCredit && this.#credits === 0)) {
      this.#waiting.push({ element, needsCredit });
      return;
    }
    if (needsCredit) {
      this.#credits--;
    }
    this.#send(element);
  }

  addCredits(count: number): void {
    this.#credits += count;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (next.needsCredit) {
        if (this.#credits === 0) {
          return;
        }
        this.#credits--;
      }
      this.#waiting.shift();
      this.#send(next.element);
    }
  }
}
