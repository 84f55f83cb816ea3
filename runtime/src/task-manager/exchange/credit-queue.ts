/**
 * The producing end of one channel's flow control: what needs credit waits here in order while the consumer gives none, and what needs
 * none (barriers, the end) waits behind it. A task does not run while something waits, so at most the output of one micro-batch does.
 */
export class CreditQueue<T> {
  #credits: number;
  readonly #waiting: { readonly element: T; readonly needsCredit: boolean }[] = [];
  readonly #send: (element: T) => void;

  constructor(initialCredits: number, send: (element: T) => void) {
    this.#credits = initialCredits;
    this.#send = send;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  submit(element: T, needsCredit: boolean): void {
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
